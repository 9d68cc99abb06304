/* SPDX-License-Identifier: MIT */
/*
 * Rota: key/value stores of pipelines, and the runs that are registered there. Kinds of stores have
 * aliases in a registry:
 *
 *     memory        this process's own, gone with it; forked processes begin with a copy
 *     sqlite:PATH   a file, for several processes at once; what was put stands also after a crash
 *
 * A store is entered before it is used and left after: rota_dispatch does it for the context's
 * around each run, so commands just use it. Keys are texts of 1 to 1,024 bytes, values any bytes.
 * A store is one thread's at a time.
 */
#ifndef ROTA_STORE_H
#define ROTA_STORE_H

#include <rota/api.h>
#include <rota/clock.h>
#include <rota/pack.h>

ROTA_BEGIN_DECLS

struct rota_pipeline_context;
struct rota_registry;
struct rota_store;

/* Bytes of a key and of a value. */
#define ROTA_STORE_KEY_MAX 1024
#define ROTA_STORE_VALUE_MAX ((size_t)16 << 20)

/*
 * Is given an entry of a list, good until the call returns. Returns 0; anything else ends the list,
 * and is what rota_store_list returns.
 */
typedef int rota_store_list_fn(const char *key, const struct rota_bytes *value, void *userdata);

/*
 * A kind of store, for programs that have one of their own. Its calls return 0 or a negative error,
 * and do what the calls of stores below say; these have looked at keys, at lengths, and at whether
 * the store is entered.
 */
struct rota_store_kind {
	size_t size;                /* of this struct */
	const char *const *aliases; /* words, the first is the main one; then NULL */
	const char *summary;        /* a line; NULL: none */
	/* where is what stands behind the alias and a colon; "" if nothing does. */
	int (*open)(const char *where, void **ret_state);
	void (*close)(void *state); /* left before, if it was entered */
	int (*enter)(void *state);  /* NULL: nothing to do; so may be leave and forked */
	void (*leave)(void *state);
	/* In a forked process, which has a copy of all but must not touch what is behind it. */
	void (*forked)(void *state);
	int (*get)(void *state, const char *key, struct rota_buffer *value);
	int (*put)(void *state, const char *key, const struct rota_bytes *value);
	int (*remove)(void *state, const char *key);
	int (*list)(void *state, const char *prefix, rota_store_list_fn *on_entry, void *userdata);
	int (*compare_and_set)(void *state, const char *key, const struct rota_bytes *expected,
		const struct rota_bytes *value);
};

/*
 * Makes the store that is called "ALIAS:WHERE" or "ALIAS"; a file is opened when it is entered.
 * Returns 0; -ENOENT when there is no such kind; what the kind's open returns, as -EINVAL for an
 * sqlite without a path; -ENOMEM.
 */
ROTA_API int rota_store_open(const struct rota_registry *registry, const char *name,
	struct rota_store **ret_store);

/* Leaves it, too, if it was entered. NULL does nothing. */
ROTA_API void rota_store_close(struct rota_store *store);

/*
 * The context's store, a memory one at first. The context closes the one before, and this one when
 * another is set or when it is freed. Not while the context is run.
 */
ROTA_API void rota_pipeline_context_set_store(struct rota_pipeline_context *context,
	struct rota_store *store);
ROTA_API struct rota_store *rota_pipeline_context_store(const struct rota_pipeline_context
		*context);

/*
 * May be nested: it is left with the last leave. Returns 0; -EACCES, -ENOENT, -EIO, -ENOSPC and the
 * like; -EUCLEAN for a file that is no database; -EBUSY when others have it for too long; -ENOMEM.
 */
ROTA_API int rota_store_enter(struct rota_store *store);
ROTA_API void rota_store_leave(struct rota_store *store);

/*
 * All return 0; -ENOTCONN when the store is not entered; -EINVAL for a key of no bytes or too
 * many; -EMSGSIZE for a value that is too long; -EBUSY when others have it for too long; -ENOSPC,
 * -EIO and the like, after which all is as it was; -ENOMEM.
 */

/* Appends the value to the buffer. -ENOENT when there is none; also as rota_buffer_add. */
ROTA_API int rota_store_get(struct rota_store *store, const char *key, struct rota_buffer *value);
ROTA_API int rota_store_put(struct rota_store *store, const char *key, const void *bytes,
	size_t len);
/* -ENOENT when there was none. */
ROTA_API int rota_store_delete(struct rota_store *store, const char *key);

/*
 * Calls back with the entries whose keys begin with prefix ("": all), in the order of their bytes.
 * on_entry must not change the store.
 */
ROTA_API int rota_store_list(struct rota_store *store, const char *prefix,
	rota_store_list_fn *on_entry, void *userdata);

/*
 * Puts a value only if the present one is expected (NULL: there is none). Returns -ESTALE when it
 * is not; of several processes that try, one succeeds.
 */
ROTA_API int rota_store_compare_and_set(struct rota_store *store, const char *key,
	const struct rota_bytes *expected, const struct rota_bytes *value);

/* Runs */

enum rota_run_state { ROTA_RUN_RUNNING, ROTA_RUN_FINISHED, ROTA_RUN_FAILED, ROTA_RUN_CRASHED };

/* "running", "finished", "failed", "crashed". */
ROTA_API const char *rota_run_state_name(enum rota_run_state state);

struct rota_run_status {
	const char *id;         /* a word */
	const char *pipeline;   /* its name */
	const char *dispatcher; /* its alias */
	pid_t pid;
	int64_t started; /* seconds since 1970 */
	int64_t ended;   /* the same; 0: not yet, or nobody knows */
	enum rota_run_state state;
};

/* Is told of a run; status is good until it returns. */
typedef void rota_run_status_fn(const struct rota_run_status *status, void *userdata);

/*
 * Calls back with the runs that are registered in the store, the oldest first; on_run must not
 * change the store. One whose process is gone without saying that it ended has crashed. Returns 0,
 * or as rota_store_list; -ROTA_EPACK, after all others were told, if there are entries that nobody
 * here has written.
 */
ROTA_API int rota_runs_status(struct rota_store *store, rota_run_status_fn *on_run, void *userdata);

/*
 * Removes all that do not run any more from the store; what cannot be read stays. Returns how many,
 * or as rota_runs_status.
 */
ROTA_API int rota_runs_cleanup(struct rota_store *store);

ROTA_END_DECLS

#endif
