/* SPDX-License-Identifier: MIT */
/*
 * Rota: commands, of which pipelines are made. A command is a const table: its names, what it is,
 * its arguments, and the functions that do it. A program registers its own beside the library's
 * (rota_registry_add_command) and writes their names in pipelines.
 *
 *     generating   begins a pipeline: makes records of something else, as read does
 *     streaming    takes each record for itself, as where does: any process can have any of them
 *     merging      has to see all of them, so one process does it: sort, head, stats, output
 *
 * A stage is a command at work in one run, in one process: it has the arguments that were given to
 * it, and the command's own state. Its functions are called in this order, all in one thread:
 *
 *     init         once: looks at the arguments, and fills the state
 *     start        once: the run begins in this process; files are opened here
 *     generate     of a generating command, until it returns 0
 *     process      of the others, once for each record
 *     finish       once, if all went well: no record follows; those held back are emitted now
 *     fini         once, if init has succeeded, whatever happened then
 *
 * Each but process and generate may be NULL, and then does nothing. rota_pipeline_build calls init
 * and fini too, so that what is wrong with arguments is told before anything runs: init must change
 * nothing outside of the state. The functions block as they like; a stage has no turns. What init
 * has allocated before it fails, it frees itself, as fini is not called then.
 *
 * They return 0, or a negative error, which ends the run; rota_stage_fail says more about it. The
 * calls about a stage are for its own functions, and the stage is good until fini has returned.
 */
#ifndef ROTA_COMMAND_H
#define ROTA_COMMAND_H

#include <rota/api.h>
#include <rota/clock.h>
#include <rota/iterate.h>
#include <rota/record.h>

ROTA_BEGIN_DECLS

struct rota_needs;
struct rota_pipeline_context;
struct rota_stage;

/* Arguments */

enum rota_argument_type {
	ROTA_ARGUMENT_BOOL,     /* true, false, yes, no, 1, 0 */
	ROTA_ARGUMENT_INT,      /* 10, -3, 64k, 2M, 1G (powers of 1,024): an int64_t */
	ROTA_ARGUMENT_DOUBLE,   /* 0.5, 1e9 */
	ROTA_ARGUMENT_DURATION, /* 50us, 100ms, 5s, 2m, 1h: a rota_time */
	ROTA_ARGUMENT_TEXT,     /* a word, or anything in quotes */
	ROTA_ARGUMENT_FIELD,    /* the name of a field: a word, "a text", {a reference} */
	ROTA_ARGUMENT_FIELDS,   /* several, with commas or spaces between */
	/* All the rest of the command as it is written, for a language of the command's own: */
	ROTA_ARGUMENT_EXPRESSION,
	ROTA_ARGUMENT_PIPELINE, /* [ a pipeline ], or the name of one of the context */
};

/* rota_argument.flags */
#define ROTA_ARGUMENT_REQUIRED (1u << 0)
/*
 * It may be given without its name: the first value without one is for the first argument that has
 * this flag, and so on. All can be given as NAME=VALUE.
 */
#define ROTA_ARGUMENT_POSITIONAL (1u << 1)

struct rota_argument {
	const char *name; /* a word: letters, digits, _ */
	enum rota_argument_type type;
	unsigned flags;
	/*
	 * As it would be written; NULL: 0, false, "", no fields. rota_stage_has says if it was
	 * given.
	 */
	const char *default_value;
	const char *help; /* a sentence */
	/* Of a text: the only ones that it may be, as "table|json|csv"; NULL: any. */
	const char *choices;
	/*
	 * Of ints, doubles and durations (ns), if one of them is not 0: what it may be, inclusive.
	 */
	int64_t min;
	int64_t max;
};

/* Commands */

enum rota_command_kind { ROTA_COMMAND_GENERATING, ROTA_COMMAND_STREAMING, ROTA_COMMAND_MERGING };

/* rota_command.flags */
/*
 * Of a generating command: it makes the part of its records that rota_stage_chunk tells it, so that
 * the parts in order are the whole. Without this flag only one process is given it.
 */
#define ROTA_COMMAND_CHUNKED (1u << 0)
/*
 * Of a merging one: records may come in any order. Otherwise they come in the order that they would
 * have in one process, for which processes have to wait for each other.
 */
#define ROTA_COMMAND_ANY_ORDER (1u << 1)
/*
 * Of a merging one: it can do a part of its work in each of the processes before: see
 * rota_stage_part.
 */
#define ROTA_COMMAND_PARTIAL (1u << 2)
/* It writes where people look, so that a dispatcher for them need not add a command that does. */
#define ROTA_COMMAND_OUTPUT (1u << 3)

/* What generate returns when it has more. */
#define ROTA_STAGE_MORE 2

/* What the processes have that do a generating command's parts: see share. */
struct rota_share {
	int fd;        /* close-on-exec, and closed by who runs it; -1: none */
	uint64_t size; /* in the command's own unit */
};

struct rota_command {
	size_t size;                /* of this struct */
	const char *const *aliases; /* its names, the first is the main one; then NULL */
	enum rota_command_kind kind;
	unsigned flags;
	const char *summary;                   /* a line, as "Sorts by fields"; NULL: none */
	const char *help;                      /* more, as lines; NULL: nothing more */
	const struct rota_argument *arguments; /* then one without a name; NULL: none */
	size_t state_size;                     /* bytes, all zero before init */
	int (*init)(struct rota_stage *stage, void *state);
	int (*start)(struct rota_stage *stage, void *state);
	/*
	 * Emits some records, a few thousand at most, so that progress can be told between. Returns
	 * ROTA_STAGE_MORE; 0 when there are no more; ROTA_STOP, as rota_stage_emit returned it,
	 * is as good as 0.
	 */
	int (*generate)(struct rota_stage *stage, void *state);
	/*
	 * The record is the stage's until it returns: it may be changed, and emitted itself.
	 * Returns 0; ROTA_STOP when no further one is wanted; what rota_stage_emit returned will
	 * do.
	 */
	int (*process)(struct rota_stage *stage, void *state, struct rota_record *record);
	int (*finish)(struct rota_stage *stage, void *state);
	void (*fini)(struct rota_stage *stage, void *state);
	/*
	 * Which fields matter, so that nobody makes others. It is called between init and start,
	 * the last stage's first. needs has the fields of what this stage emits that those behind
	 * it look at, and is changed into the fields that must come to this stage: those that it
	 * looks at, and those that it passes on. NULL: all of them matter to it.
	 */
	void (*needs)(struct rota_stage *stage, void *state, struct rota_needs *needs);
	/*
	 * Of a chunked one: opens what the parts are parts of, so that they are parts of the same
	 * even if it changes meanwhile. It is called once, in the process that starts the others
	 * and before it does, for a stage of its own between init and fini; share has no
	 * descriptor and the size 0 then. What it gives is seen by all of them in start, by
	 * rota_stage_share. After an error it has left nothing open. NULL: they share nothing.
	 */
	int (*share)(struct rota_stage *stage, void *state, struct rota_share *share);
};

/*
 * Sets of fields that matter: all of them, none, one more, one less. To take one out of all does
 * nothing. There is no error: without memory to note one, all matter.
 */
ROTA_API void rota_needs_all(struct rota_needs *needs);
ROTA_API void rota_needs_none(struct rota_needs *needs);
ROTA_API void rota_needs_add(struct rota_needs *needs, rota_name name);
ROTA_API void rota_needs_remove(struct rota_needs *needs, rota_name name);
ROTA_API bool rota_needs_has(const struct rota_needs *needs, rota_name name);

/* Whether anybody behind this stage looks at that field of what it emits. In needs and after it. */
ROTA_API bool rota_stage_needs(const struct rota_stage *stage, rota_name name);

/*
 * Sends a record downstream, where it may be changed: what it contains afterwards is undefined, but
 * it is still the caller's. In generate, process and finish. Returns 0; ROTA_STOP when no further
 * record is wanted there (in finish, too: return 0 then); or a negative error, which the caller
 * returns.
 */
ROTA_API int rota_stage_emit(struct rota_stage *stage, struct rota_record *record);

/*
 * The arguments, by the name that they have in the table. That there is one of that name, and that
 * it is of the call's type, is asserted. They are for init, and do not change after it.
 */

/* Whether it was given; otherwise it has its default. */
ROTA_API bool rota_stage_has(const struct rota_stage *stage, const char *name);
ROTA_API bool rota_stage_bool(const struct rota_stage *stage, const char *name);
ROTA_API int64_t rota_stage_int(const struct rota_stage *stage, const char *name);
ROTA_API double rota_stage_double(const struct rota_stage *stage, const char *name);
ROTA_API rota_time rota_stage_duration(const struct rota_stage *stage, const char *name);
/*
 * The text of a text, without its quotes; of a field its name; of an expression all that is
 * written, quotes included, up to a |, ], ; or end that is in no quotes or braces. "" if it was
 * not given and has no default. It contains no NUL, and is good as long as the stage.
 */
ROTA_API const char *rota_stage_text(const struct rota_stage *stage, const char *name);
/* The names of fields, so many, good as long as the stage. */
ROTA_API const char *const *rota_stage_fields(const struct rota_stage *stage, const char *name,
	size_t *ret_count);

/*
 * Says what went wrong: a sentence, without position and full stop. The run's error tells it behind
 * the command's line, column and name. Only the first is kept. Returns error, which the caller
 * returns.
 */
ROTA_API int rota_stage_fail(struct rota_stage *stage, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The same about an argument: the byte at that offset of what rota_stage_text gives. */
ROTA_API int rota_stage_fail_at(struct rota_stage *stage, const char *name, size_t offset,
	int error, const char *format, ...) __attribute__((format(printf, 5, 6)));

/*
 * Takes a record, which it may change until it returns. Returns 0; ROTA_STOP when no further one is
 * wanted; a negative error, which ends the run.
 */
typedef int rota_sink_fn(struct rota_record *record, void *userdata);

/*
 * Runs the sub-pipeline that this argument is, from its first record to its last. initial is the
 * record that it begins with, to which {field} refers; a command at its front that is not
 * generating gets it, too, as its only record. NULL: there is none. What comes out goes to sink
 * with userdata, or, if sink is NULL, downstream of this stage. In generate, process and finish.
 * Returns 0; ROTA_STOP as rota_stage_emit; -ENOENT when the argument was not given; another
 * negative error.
 */
ROTA_API int rota_stage_run(struct rota_stage *stage, const char *name, struct rota_record *initial,
	rota_sink_fn *sink, void *userdata);

/* Which part of the records is this process's: part index of count, from 0; 0 of 1 when alone. */
ROTA_API void rota_stage_chunk(const struct rota_stage *stage, unsigned *ret_index,
	unsigned *ret_count);

/* What the command's share has given, good as long as the stage. NULL: it was not asked. */
ROTA_API const struct rota_share *rota_stage_share(const struct rota_stage *stage);

/*
 * Which part of a merging command's work this is. A dispatcher with several processes has a command
 * with ROTA_COMMAND_PARTIAL at the end of each of them, too: there it is ROTA_PART_PARTIAL, gets a
 * part of the records, and emits what it made of them in records of its own making, until finish
 * has returned. The merging stage is ROTA_PART_COMBINE then, and gets those. Otherwise there is one
 * stage, ROTA_PART_WHOLE.
 */
enum rota_part { ROTA_PART_WHOLE, ROTA_PART_PARTIAL, ROTA_PART_COMBINE };
ROTA_API enum rota_part rota_stage_part(const struct rota_stage *stage);

/*
 * Tells how far this stage is, in a unit of its own (bytes, as a rule), of total; 0: nobody knows
 * how much there is. It costs little, also when nobody wants to know.
 */
ROTA_API void rota_stage_progress(struct rota_stage *stage, uint64_t done, uint64_t total);

/* The names of the fields of all records of this process's run. */
ROTA_API struct rota_names *rota_stage_names(const struct rota_stage *stage);

/* The record that the run, or the sub-pipeline, was begun with; NULL: none. Not to be changed. */
ROTA_API const struct rota_record *rota_stage_initial(const struct rota_stage *stage);

/* The context that is run: its key/value store, its pipelines. */
ROTA_API struct rota_pipeline_context *rota_stage_context(const struct rota_stage *stage);

ROTA_END_DECLS

#endif
