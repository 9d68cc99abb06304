/* SPDX-License-Identifier: MIT */
/*
 * pool_program.c - where rota-pool's command is: looked for once, and not by every process that is
 * to become it.
 */
#include "pool_run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
is_program(const char *path, int *error)
{
	struct stat status;

	if (stat(path, &status) < 0) {
		/* Of several places, that one says most where there is something. */
		if (errno != ENOENT && errno != ENOTDIR)
			*error = errno;
		return false;
	}
	if (S_ISREG(status.st_mode) && access(path, X_OK) == 0)
		return true;
	*error = EACCES;
	return false;
}

/* The path in the folder that begins at folder, which ends at a colon, or NULL. */
static char *
join(const char *folder, size_t len, const char *name)
{
	size_t size = len + strlen(name) + 3;
	char *path = malloc(size);

	/* An empty folder is where we are. */
	if (path)
		snprintf(path, size, "%.*s/%s", len > 0 ? (int)len : 1, len > 0 ? folder : ".",
			name);
	return path;
}

static char *
search(const char *name, int *error)
{
	const char *folder = getenv("PATH");
	size_t len;

	if (strchr(name, '/'))
		return is_program(name, error) ? strdup(name) : NULL;
	if (!folder)
		folder = "/bin:/usr/bin";
	for (;; folder += len + 1) {
		char *path;

		len = strcspn(folder, ":");
		path = join(folder, len, name);
		if (path && is_program(path, error))
			return path;
		free(path);
		if (!path || folder[len] == '\0')
			return NULL;
	}
}

const char *
pool_command_hint(const struct pool_command *command)
{
	if (!strpbrk(command->words[0], " \t|;&<>$"))
		return "";
	return " (no shell takes it apart: leave the quotes out, or use sh -c)";
}

int
pool_command_find(struct pool_command *command)
{
	const char *name = command->words[0];
	char reason[256];
	int error = ENOENT;
	size_t i;

	for (i = 0; i < command->count; i++)
		command->has_place = command->has_place || strstr(command->words[i], "{}");
	if (strstr(name, "{}"))
		return 0;
	command->path = search(name, &error);
	if (command->path)
		return 0;
	fprintf(stderr, "%s: cannot run %s: %s%s\n", POOL_NAME, name,
		rota_strerror(-error, reason, sizeof(reason)), pool_command_hint(command));
	return error == ENOENT ? POOL_NOT_FOUND : POOL_UNRUNNABLE;
}
