/* SPDX-License-Identifier: MIT */
/*
 * Registries: a list of tables. What was added last is found first, so that a program's command
 * takes an alias from the library's. They are few, and looked for when text is parsed only.
 */
#include <rota/registry.h>

#include <errno.h>
#include <string.h>

#include "allocator.h"
#include "commands.h"
#include "run.h"
#include "store.h"

struct rota_registry {
	const struct rota_command **commands;
	size_t command_count;
	const struct rota_dispatcher **dispatchers;
	size_t dispatcher_count;
	const struct rota_store_kind **stores;
	size_t store_count;
};

static bool
is_word(const char *name)
{
	static const char of_words[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

	return name[0] != '\0' && strspn(name, of_words) == strlen(name);
}

static bool
are_words(const char *const *aliases)
{
	if (aliases == NULL || aliases[0] == NULL)
		return false;
	for (size_t i = 0; aliases[i] != NULL; i++) {
		if (!is_word(aliases[i]))
			return false;
	}
	return true;
}

static bool
has_alias(const char *const *aliases, const char *alias)
{
	for (size_t i = 0; aliases[i] != NULL; i++) {
		if (strcmp(aliases[i], alias) == 0)
			return true;
	}
	return false;
}

static bool
are_arguments(const struct rota_argument *arguments)
{
	for (size_t i = 0; arguments != NULL && arguments[i].name != NULL; i++) {
		if (!is_word(arguments[i].name))
			return false;
		for (size_t k = 0; k < i; k++) {
			if (strcmp(arguments[k].name, arguments[i].name) == 0)
				return false;
		}
	}
	return true;
}

static bool
is_command(const struct rota_command *command)
{
	bool has_function;

	if (command->size != sizeof(*command) || !are_words(command->aliases))
		return false;
	if (command->kind == ROTA_COMMAND_GENERATING)
		has_function = command->generate != NULL;
	else
		has_function = command->process != NULL;
	return has_function && are_arguments(command->arguments);
}

/* Appends to an array of pointers. */
static int
append(const void ***list, size_t *count, const void *item)
{
	const void **grown = rota__realloc(*list, (*count + 1) * sizeof(*grown));

	if (grown == NULL)
		return -ENOMEM;
	grown[(*count)++] = item;
	*list = grown;
	return 0;
}

int
rota_registry_add_command(struct rota_registry *registry, const struct rota_command *command)
{
	if (!is_command(command))
		return -EINVAL;
	return append((const void ***)&registry->commands, &registry->command_count, command);
}

int
rota_registry_add_dispatcher(struct rota_registry *registry,
	const struct rota_dispatcher *dispatcher)
{
	if (dispatcher->size != sizeof(*dispatcher) || !are_words(dispatcher->aliases) ||
		dispatcher->dispatch == NULL)
		return -EINVAL;
	return append((const void ***)&registry->dispatchers, &registry->dispatcher_count,
		dispatcher);
}

int
rota_registry_add_store(struct rota_registry *registry, const struct rota_store_kind *kind)
{
	if (kind->size != sizeof(*kind) || !are_words(kind->aliases) || kind->open == NULL ||
		kind->close == NULL || kind->get == NULL || kind->put == NULL ||
		kind->remove == NULL || kind->list == NULL || kind->compare_and_set == NULL)
		return -EINVAL;
	return append((const void ***)&registry->stores, &registry->store_count, kind);
}

const struct rota_store_kind *
rota_registry_store(const struct rota_registry *registry, const char *alias)
{
	for (size_t i = registry->store_count; i-- > 0;) {
		if (has_alias(registry->stores[i]->aliases, alias))
			return registry->stores[i];
	}
	return NULL;
}

int
rota_registry_new(struct rota_registry **ret_registry)
{
	struct rota_registry *registry = rota__calloc(sizeof(*registry));
	int r = registry == NULL ? -ENOMEM : 0;

	for (size_t i = 0; r == 0 && rota__commands[i] != NULL; i++)
		r = rota_registry_add_command(registry, rota__commands[i]);
	for (size_t i = 0; r == 0 && rota__dispatchers[i] != NULL; i++)
		r = rota_registry_add_dispatcher(registry, rota__dispatchers[i]);
	for (size_t i = 0; r == 0 && rota__store_kinds[i] != NULL; i++)
		r = rota_registry_add_store(registry, rota__store_kinds[i]);
	if (r < 0) {
		rota_registry_free(registry);
		return r;
	}
	*ret_registry = registry;
	return 0;
}

void
rota_registry_free(struct rota_registry *registry)
{
	if (registry == NULL)
		return;
	rota__free(registry->commands);
	rota__free(registry->dispatchers);
	rota__free(registry->stores);
	rota__free(registry);
}

const struct rota_command *
rota_registry_command(const struct rota_registry *registry, const char *alias)
{
	for (size_t i = registry->command_count; i-- > 0;) {
		if (has_alias(registry->commands[i]->aliases, alias))
			return registry->commands[i];
	}
	return NULL;
}

const struct rota_command *
rota_registry_command_at(const struct rota_registry *registry, size_t index)
{
	return index < registry->command_count ? registry->commands[index] : NULL;
}

const struct rota_dispatcher *
rota_registry_dispatcher(const struct rota_registry *registry, const char *alias)
{
	for (size_t i = registry->dispatcher_count; i-- > 0;) {
		if (has_alias(registry->dispatchers[i]->aliases, alias))
			return registry->dispatchers[i];
	}
	return NULL;
}

const struct rota_dispatcher *
rota_registry_dispatcher_at(const struct rota_registry *registry, size_t index)
{
	return index < registry->dispatcher_count ? registry->dispatchers[index] : NULL;
}
