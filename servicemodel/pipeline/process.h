/* SPDX-License-Identifier: MIT */
/*
 * The processes of multiproc, and how they are joined. Each has a control channel to the one that
 * started it, and its stderr is a pipe to there. Records travel in batches in channels of their
 * own, one from each process of the first layer, and one from the second if somebody wants what
 * comes out. On channels of records:
 *
 *     records   a batch
 *     end       none follows: without it whoever sent has died, and what came is not the whole
 *
 * and on those of control, packed:
 *
 *     progress  "s U U"      command, done, total
 *     error     "i u u s b"  code, line, column, text, whether it is only what another's end caused
 *     done      ""           all went well
 */
#ifndef ROTA_PRIVATE_PROCESS_H
#define ROTA_PRIVATE_PROCESS_H

#include <rota/channel.h>
#include <rota/child.h>
#include <rota/timer.h>

#include "run.h"

#define ROTA__RECORDS "records"
#define ROTA__END "end"

/* Bytes of a batch that are enough to send it; how long one of a long record may be. */
#define ROTA__BATCH_ENOUGH ((size_t)32 << 10)
#define ROTA__BATCH_MOST (4 * ROTA_RECORD_STORE_MAX)

/* outlet.c: records to another process */

struct rota__outlet {
	struct rota_sender *sender; /* not the outlet's */
	struct rota_batch batch;
};

void rota__outlet_init(struct rota__outlet *outlet, struct rota_names *names,
	struct rota_sender *sender);
void rota__outlet_fini(struct rota__outlet *outlet);
/* A sink; userdata is the outlet. ROTA_STOP when nobody receives any more. */
int rota__outlet_send(struct rota_record *record, void *userdata);
/* What is left, and that it was all. */
int rota__outlet_end(struct rota__outlet *outlet);

/* intake.c: records from other processes */

struct rota__intake;

struct rota__port {
	struct rota__intake *intake;
	struct rota_receiver *receiver; /* NULL: closed */
	bool is_ended;
};

struct rota__intake {
	struct rota_context *ctx;
	struct rota_batch_reader reader;
	struct rota_record record;
	rota_sink_fn *sink;
	void *userdata;
	int result; /* the first error: of the sink, of a batch, or -ROTA_ELOST */
	bool is_in_order;
	bool is_over; /* nothing comes any more, or nothing is wanted */
	bool is_cut;  /* result is that of a port without its end */
	size_t count;
	size_t open;
	struct rota__port ports[ROTA_RUN_PROCESSES];
};

void rota__intake_init(struct rota__intake *intake, struct rota_context *ctx,
	struct rota_names *names, rota_sink_fn *sink, void *userdata);
/* Takes the channel's end for receivers. */
int rota__intake_add(struct rota__intake *intake, struct rota_channel *channel);
/* Behind the last add. In order: of one port after the other. */
int rota__intake_start(struct rota__intake *intake, bool is_in_order);
/* Wants no more; who sends is told. */
void rota__intake_stop(struct rota__intake *intake);
void rota__intake_fini(struct rota__intake *intake);

/* multiproc.c, crew.c and process.c */

#define ROTA__TAIL 512

struct rota__crew;

struct rota__process {
	struct rota__crew *crew;
	unsigned index;
	unsigned chunk; /* in its layer */
	const struct rota_plan_layer *layer;
	struct rota_channel *channel; /* control, before the fork */
	int errors[2];                /* stderr, before the fork; then [0] is in target */
	struct rota_receiver *control;
	struct rota_target target;
	struct rota_child child;
	bool is_started;
	bool is_ended;
	bool is_done; /* it said so */
	bool has_failed;
	bool is_killed; /* by us */
	int status;
	bool has_progress; /* it has told some */
	uint64_t progress_done;
	uint64_t progress_total;
	size_t tail_len;
	char tail[ROTA__TAIL]; /* of its stderr */
};

struct rota__crew {
	struct rota_run *run;
	struct rota_plan plan;
	struct rota_context *ctx;
	size_t between_count;
	struct rota_channel *between[ROTA_RUN_PROCESSES]; /* from the first layer */
	struct rota_channel *out;                         /* from the second */
	struct rota_share share;                          /* of the first layer, until all run */
	bool has_share;
	struct rota__intake intake;
	bool has_intake;
	bool has_cause; /* the result's error is what began it */
	struct rota_timer grace;
	size_t count;
	size_t left; /* of those started */
	struct rota__process processes[];
};

/* Before all else. */
void rota__crew_init(struct rota__crew *crew);
/* A process that was forked: hears what it says, until it has ended and that is known. */
int rota__crew_watch(struct rota__process *process, pid_t pid);
/* Hears of it no more; once none is left. */
void rota__crew_forget(struct rota__process *process);
/* Ends all: that call has failed with that code. */
void rota__crew_fail(struct rota__crew *crew, int code, const char *what);
/* For rota_wait: whether all have ended and all that came out was taken. */
bool rota__crew_is_over(struct rota_context *ctx, void *userdata);

/* In the forked process; does not return. */
void rota__process_live(struct rota__process *process, pid_t parent) __attribute__((noreturn));

#endif
