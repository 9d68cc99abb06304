/* SPDX-License-Identifier: MIT */
/*
 * Rota: registries, which know commands by their aliases, and also dispatchers and stores. A new
 * one has all of the library's; a program adds its own. What is added must outlive the registry. A
 * registry is one thread's at a time; nothing in it changes while a pipeline is parsed or run.
 */
#ifndef ROTA_REGISTRY_H
#define ROTA_REGISTRY_H

#include <rota/api.h>
#include <rota/command.h>

ROTA_BEGIN_DECLS

struct rota_dispatcher;
struct rota_registry;
struct rota_store_kind;

/* Returns 0 or -ENOMEM. */
ROTA_API int rota_registry_new(struct rota_registry **ret_registry);

/* After everything that was made with it. NULL does nothing. */
ROTA_API void rota_registry_free(struct rota_registry *registry);

/*
 * Adds a command. One with an alias that is there takes that alias from it. Returns 0; -EINVAL for
 * a table that makes no sense: without aliases, or with one that is no word; without the function
 * of its kind; with arguments whose names are no words, or twice; -ENOMEM.
 */
ROTA_API int rota_registry_add_command(struct rota_registry *registry,
	const struct rota_command *command);

/* The command of that alias, NULL if there is none. */
ROTA_API const struct rota_command *rota_registry_command(const struct rota_registry *registry,
	const char *alias);

/* The command at an index, from 0, in the order in which they were added; NULL behind the last. */
ROTA_API const struct rota_command *rota_registry_command_at(const struct rota_registry *registry,
	size_t index);

/* The same of dispatchers (<rota/dispatcher.h>): without dispatch they make no sense. */
ROTA_API int rota_registry_add_dispatcher(struct rota_registry *registry,
	const struct rota_dispatcher *dispatcher);
ROTA_API const struct rota_dispatcher *rota_registry_dispatcher(const struct rota_registry
									*registry,
	const char *alias);
ROTA_API const struct rota_dispatcher *rota_registry_dispatcher_at(const struct rota_registry
									   *registry,
	size_t index);

/* The same of kinds of stores (<rota/store.h>). */
ROTA_API int rota_registry_add_store(struct rota_registry *registry,
	const struct rota_store_kind *kind);
ROTA_API const struct rota_store_kind *rota_registry_store(const struct rota_registry *registry,
	const char *alias);

ROTA_END_DECLS

#endif
