/* SPDX-License-Identifier: MIT */
/*
 * Rota: dispatchers, which run pipelines. They have aliases in a registry, and a program adds its
 * own. The library's:
 *
 *     local            in this process
 *     local_test       the same, and keeps what comes out
 *     local_repl       the same, with an output at the end if the pipeline has none
 *     local_detached   in a process of its own, whose pid is returned at once
 *     multiproc        (multiprocessing) in several processes
 *
 * multiproc divides the commands into layers at the first merging one. The layer before it is N
 * processes, each of which is told that it is part i of N (rota_stage_chunk), if the generating
 * command can do parts; the layer from there on is one process, which gets the records of all by
 * channels: who is faster waits for who is slower, so nothing grows. A command that can
 * (ROTA_COMMAND_PARTIAL) does a part of its work before the records travel. A process that dies or
 * fails ends the run with an error, and the others with it; records never just end, so nothing that
 * is incomplete is taken for the whole.
 *
 * The calls here block until the run has ended, and take turns of a context of their own if they
 * wait. The processes are forked from this one, which should have one thread then; they have its
 * stdin and stdout, and end with it.
 */
#ifndef ROTA_DISPATCHER_H
#define ROTA_DISPATCHER_H

#include <rota/api.h>
#include <rota/pack.h>
#include <rota/pipeline.h>

ROTA_BEGIN_DECLS

struct rota_run;

/* Most processes of a layer, and most layers. */
#define ROTA_RUN_PROCESSES 64
#define ROTA_PLAN_LAYERS 2

/* How far a run is: of all processes together. */
struct rota_progress {
	const char *command; /* that tells it */
	uint64_t done;       /* in its unit */
	uint64_t total;      /* 0: nobody knows */
};

/* The functions are called inside of rota_dispatch, and must not use the context that is run. */
struct rota_run_options {
	size_t size;          /* of this struct */
	const char *pipeline; /* which one of the context; NULL: main */
	unsigned processes;   /* for a layer of several; 0: one a processor */
	/*
	 * Is given what the last command emits, in the process that called. NULL: it is dropped.
	 */
	rota_sink_fn *on_record;
	/* Is told at most ten times a second, in the process that called. NULL: nobody is. */
	void (*on_progress)(const struct rota_progress *progress, void *userdata);
	/*
	 * Is given what a process, numbered from 0, wrote to its stderr, which is a pipe. NULL: it
	 * is written to this process's.
	 */
	void (*on_stderr)(unsigned process, const void *bytes, size_t len, void *userdata);
	void *userdata;
};

/* clang-format off */
#define ROTA_RUN_OPTIONS_INIT { sizeof(struct rota_run_options), NULL, 0, NULL, NULL, NULL, NULL }
/* clang-format on */

struct rota_run_result {
	struct rota_pipeline_error error; /* code 0: none */
	uint64_t records;                 /* that on_record was given */
	pid_t pid;                        /* of local_detached; otherwise 0 */
	/* Those that local_test kept, with the context's names; the result's. */
	struct rota_record *kept;
	size_t kept_count;
};

/* Gives its memory back; it may be one that has only been set to zero. */
ROTA_API void rota_run_result_fini(struct rota_run_result *result);

/*
 * Runs a pipeline of the context by the dispatcher of that alias; options NULL: the defaults.
 * *result is set, also after an error, and to be given back by rota_run_result_fini.
 *
 * Returns 0; or a negative error, of which result->error has more: -ENOENT when there is no such
 * dispatcher or pipeline; -ROTA_EUNBUILT; -EBUSY when the context is being run; -EINVAL for options
 * that make no sense; what a command, the store or on_record returned; -ROTA_ELOST when a process
 * died; -EAGAIN, -EMFILE, -ENOMEM and the like.
 */
ROTA_API int rota_dispatch(struct rota_pipeline_context *context, const char *dispatcher,
	const struct rota_run_options *options, struct rota_run_result *result);

/* Plans */

struct rota_plan_layer {
	unsigned processes;
	size_t first;    /* step of the pipeline */
	size_t end;      /* behind its last */
	bool is_partial; /* the step at end does a part of its work here, too */
};

struct rota_plan {
	const char *dispatcher;               /* its first alias */
	const struct rota_pipeline *pipeline; /* the context's, which must outlive the plan */
	size_t layer_count;
	struct rota_plan_layer layers[ROTA_PLAN_LAYERS];
};

/*
 * Tells what would be run, without running it; the dispatcher may change the pipeline for it.
 * Returns as rota_dispatch; after an error *error is set, unless it is NULL.
 */
ROTA_API int rota_plan(struct rota_pipeline_context *context, const char *dispatcher,
	const struct rota_run_options *options, struct rota_plan *ret_plan,
	struct rota_pipeline_error *error);

/* Appends it as lines for people. Returns 0, -EMSGSIZE or -ENOMEM. */
ROTA_API int rota_plan_format(const struct rota_plan *plan, struct rota_buffer *buffer);

/* Dispatchers of one's own */

/*
 * rota_dispatcher.flags: dispatch returns when the run has only begun. Then the run is not
 * registered in the store, which is not entered; otherwise both are done around dispatch.
 */
#define ROTA_DISPATCHER_DETACHES (1u << 0)

/*
 * Its functions are called by rota_dispatch and rota_plan, with a run that is good until they
 * return. Each returns 0 or a negative error, of which rota_run_fail tells more.
 */
struct rota_dispatcher {
	size_t size;                /* of this struct */
	const char *const *aliases; /* words, the first is the main one; then NULL */
	unsigned flags;
	const char *summary; /* a line; NULL: none */
	/* Before all else: may change the pipeline, and then builds it again. NULL: nothing. */
	int (*prepare)(struct rota_run *run);
	/* Fills the layers of a plan that has one layer with one process. NULL: that is it. */
	int (*plan)(struct rota_run *run, struct rota_plan *plan);
	/* Runs the pipeline, to its end: by rota_run_here in one process or another. */
	int (*dispatch)(struct rota_run *run);
};

/* What is run, as rota_dispatch was told; options NULL are the defaults here. */
ROTA_API struct rota_pipeline_context *rota_run_context(const struct rota_run *run);
ROTA_API struct rota_pipeline *rota_run_pipeline(const struct rota_run *run);
ROTA_API const struct rota_run_options *rota_run_options(const struct rota_run *run);
ROTA_API struct rota_run_result *rota_run_result(const struct rota_run *run);

/*
 * Runs it all in this process. What comes out goes to the options' on_record. Returns 0 or a
 * negative error, of which the result's error has more.
 */
ROTA_API int rota_run_here(struct rota_run *run);

/*
 * To be called in a process that the dispatcher has forked, before anything else about the run: the
 * context's store lets go of what is the parent's. Such a process ends by _exit, behind
 * fflush(NULL); its result and what its on_record is given are its own, and not the parent's.
 */
ROTA_API void rota_run_forked(struct rota_run *run);

/*
 * Says what went wrong: a sentence. Only the first is kept. Returns error, which the caller
 * returns.
 */
ROTA_API int rota_run_fail(struct rota_run *run, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

ROTA_END_DECLS

#endif
