/* SPDX-License-Identifier: MIT */
/*
 * Runs in the store: one entry each, put when it begins and again when it ends. A run whose process
 * is gone but which still says that it runs has crashed; as the kernel gives out pids again, when
 * the process began is noted, too.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rota/errors.h>

#include "allocator.h"
#include "run.h"
#include "store.h"

#define PREFIX "rota/runs/"
#define PATTERN "{pipeline: s, dispatcher: s, pid: i, birth: U, started: I, ended: I, state: i}"
#define READ_PATTERN \
	"{pipeline: t, dispatcher: t, pid: i, birth: U, started: I, ended: I, state: i}"
/* Where these are in /proc/PID/stat, counted from 1. */
#define STATE_FIELD 3
#define BIRTH_FIELD 22

const char *
rota_run_state_name(enum rota_run_state state)
{
	static const char *const names[] = { "running", "finished", "failed", "crashed" };

	return names[state];
}

/*
 * When a process began, from what the kernel says of it: behind the name in brackets, which may be
 * anything, a space and a letter, its state; then numbers, each behind a space. 0: it is dead.
 */
static uint64_t
parse_birth(const char *text)
{
	const char *field = strrchr(text, ')');
	unsigned long long birth;

	if (field == NULL || *++field != ' ' || field[1] == 'Z' || field[1] == 'X')
		return 0;
	for (int i = STATE_FIELD; i < BIRTH_FIELD; i++) {
		field = strchr(field + 1, ' ');
		if (field == NULL)
			return 0;
	}
	if (!isdigit((unsigned char)field[1]))
		return 0;
	errno = 0;
	birth = strtoull(field + 1, NULL, 10);
	return errno == 0 ? birth : 0;
}

/* When a process began, in the kernel's ticks; 0: there is none, or it is dead and not reaped. */
static uint64_t
birth_of(pid_t pid)
{
	const struct rota_sys_ops *sys = rota__default_sys();
	char path[40], text[1024];
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	fd = sys->open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = sys->read(fd, text, sizeof text - 1);
	sys->close(fd);
	text[n < 0 ? 0 : n] = '\0';
	return parse_birth(text);
}

static int
put_run(struct rota_run *run, enum rota_run_state state, int64_t ended)
{
	struct rota_buffer buffer = ROTA_BUFFER_INIT;
	int r;

	r = rota_pack(&buffer, PATTERN, rota_pipeline_name(run->pipeline), run->alias,
		(int)getpid(), birth_of(getpid()), run->started, ended, (int)state);
	if (r == 0)
		r = rota_store_put(run->context->store, run->key, buffer.bytes, buffer.len);
	rota_buffer_fini(&buffer);
	return r;
}

int
rota__run_register(struct rota_run *run)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	run->started = now.tv_sec;
	snprintf(run->key, sizeof run->key, PREFIX "%011" PRIx64 "%08lx-%d", (uint64_t)now.tv_sec,
		(unsigned long)now.tv_nsec, (int)getpid());
	return put_run(run, ROTA_RUN_RUNNING, 0);
}

void
rota__run_unregister(struct rota_run *run, int result)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	(void)put_run(run, result < 0 ? ROTA_RUN_FAILED : ROTA_RUN_FINISHED, now.tv_sec);
}

/* Looking */

struct looking {
	rota_run_status_fn *on_run;
	void *userdata;
	int r; /* of those that cannot be read, which hide no other */
};

static int
look_at(const char *key, const struct rota_bytes *value, void *userdata)
{
	struct looking *looking = userdata;
	struct rota_run_status status = { .id = key + strlen(PREFIX) };
	struct rota_text pipeline, dispatcher;
	char *copies[2];
	uint64_t birth;
	int pid, state;

	if (rota_unpack(value->bytes, value->len, NULL, READ_PATTERN, &pipeline, &dispatcher, &pid,
		    &birth, &status.started, &status.ended, &state) < 0 ||
		state < ROTA_RUN_RUNNING || state > ROTA_RUN_FAILED || pid < 1) {
		looking->r = -ROTA_EPACK;
		return 0;
	}
	copies[0] = rota__copy_text(pipeline.bytes, pipeline.len);
	copies[1] = rota__copy_text(dispatcher.bytes, dispatcher.len);
	if (copies[0] != NULL && copies[1] != NULL) {
		status.pipeline = copies[0];
		status.dispatcher = copies[1];
		status.pid = pid;
		status.state = (enum rota_run_state)state;
		if (status.state == ROTA_RUN_RUNNING && birth_of(pid) != birth)
			status.state = ROTA_RUN_CRASHED;
		looking->on_run(&status, looking->userdata);
	}
	rota__free(copies[0]);
	rota__free(copies[1]);
	return status.pipeline == NULL ? -ENOMEM : 0;
}

int
rota_runs_status(struct rota_store *store, rota_run_status_fn *on_run, void *userdata)
{
	struct looking looking = { .on_run = on_run, .userdata = userdata };
	int r = rota_store_list(store, PREFIX, look_at, &looking);

	return r < 0 ? r : looking.r;
}

struct cleanup {
	char (*keys)[ROTA__RUN_ID + 32];
	size_t count;
	size_t room;
	bool has_failed;
};

static void
note_ended(const struct rota_run_status *status, void *userdata)
{
	struct cleanup *cleanup = userdata;
	size_t room = cleanup->room == 0 ? 16 : 2 * cleanup->room;
	void *grown;

	if (status->state == ROTA_RUN_RUNNING || cleanup->has_failed)
		return;
	if (cleanup->count == cleanup->room) {
		grown = rota__realloc(cleanup->keys, room * sizeof(*cleanup->keys));
		if (grown == NULL) {
			cleanup->has_failed = true;
			return;
		}
		cleanup->keys = grown;
		cleanup->room = room;
	}
	snprintf(cleanup->keys[cleanup->count++], sizeof(*cleanup->keys), PREFIX "%s", status->id);
}

int
rota_runs_cleanup(struct rota_store *store)
{
	struct cleanup cleanup = { .keys = NULL };
	int looked = rota_runs_status(store, note_ended, &cleanup), removed = 0;
	int r = cleanup.has_failed ? -ENOMEM : looked == -ROTA_EPACK ? 0 : looked;

	for (size_t i = 0; r == 0 && i < cleanup.count; i++) {
		r = rota_store_delete(store, cleanup.keys[i]);
		removed += r == 0;
		if (r == -ENOENT)
			r = 0;
	}
	rota__free(cleanup.keys);
	if (r == 0)
		r = looked;
	return r < 0 ? r : removed;
}
