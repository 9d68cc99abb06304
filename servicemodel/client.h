/* SPDX-License-Identifier: MIT */
/*
 * A client inside: what its files share.
 *
 *   client.c             clients: options, the beginning and the end, draining, what can be asked
 *   client_call.c        calls: made, queued, timed, ended
 *   client_choice.c      which connection a call goes to, and which are to be made
 *   client_connection.c  connections: begun, sent on, ended
 *   client_input.c       what comes on a connection
 *
 * Calls are in lists: those that wait in the client's, those that were sent in their connection's,
 * and those that have an outcome which is still to be told in one of two: `ended`, which is being
 * told, and `cancelled`, which a task will tell. A call is told only by rota__client_tell, and only
 * from a handler of the client's, the task, or an end (of the client or the context). Since on_done
 * may free the client, whoever tells holds it meanwhile.
 */
#ifndef ROTA_PRIVATE_CLIENT_H
#define ROTA_PRIVATE_CLIENT_H

#include <rota/client.h>
#include <rota/task.h>

#include "follower.h"
#include "list.h"

enum rota__call_state {
	ROTA__CALL_IDLE, /* the caller's own */
	ROTA__CALL_WAITING,
	ROTA__CALL_SENT,
	ROTA__CALL_ENDED, /* has its outcome, and is to be told */
};

enum rota__connection_state {
	ROTA__CONNECTION_NONE, /* no stream */
	ROTA__CONNECTION_BEGUN,
	ROTA__CONNECTION_OPEN,
	ROTA__CONNECTION_LEAVING, /* takes no more calls; closed when those it has are over */
	ROTA__CONNECTION_CLOSING,
};

#define ROTA__PROBLEM 160

struct rota__connection {
	struct rota_client *client;
	struct rota__target *target;
	struct rota_stream *stream; /* NULL: none */
	enum rota__connection_state state;
	bool is_full;      /* a send was refused, on_drain follows */
	bool is_asked;     /* the client closes it: it is not lost */
	bool has_heard;    /* a reply came, or a refusal, or a notice */
	bool peer_is_done; /* it said that it takes nothing more */
	enum rota_reason problem_reason;
	struct rota_framing_state framing;

	/*
	 * Calls that were sent, in order. Each has a number, its id, counted up from 1; its place
	 * in the table is its id modulo the table's size. Ordered: first is the number of the next
	 * reply, and a place without a call is that of a reply which nobody wants.
	 */
	struct rota_link sent;
	size_t outstanding; /* how many */
	struct rota_call **table;
	uint32_t table_size; /* 0, or a power of two */
	uint32_t last;
	uint32_t first;

	uint64_t bytes; /* that were given to the stream */
	rota_time opened;
	rota_time used; /* when a call was last sent or ended */
	rota_time
		asked; /* when the first call was sent since anything came; ROTA_NEVER: none was */
	struct rota_timer idle;
	char problem[ROTA__PROBLEM]; /* why the client cut it off; "" */
};

struct rota__target {
	struct rota_client *client;
	char *text;
	size_t index;
	size_t begun; /* connections */
	size_t open;
	unsigned failures;
	rota_time next; /* not before this; INT64_MIN: at once */
	struct rota_timer timer;
	char why[ROTA__PROBLEM];
};

struct rota_client {
	struct rota_context *ctx; /* NULL once it was freed */
	struct rota__follower follower;
	struct rota_client_options options;
	struct rota__target *targets;
	size_t targets_count;
	/* The first connection of each target, the second of each … */
	struct rota__connection *connections;
	size_t connections_count;
	size_t turn; /* whose turn it is */
	uint64_t random;
	int64_t retries_left; /* in hundredths */

	struct rota_link waiting;
	size_t waiting_count;
	struct rota_link ended;
	struct rota_link cancelled;
	struct rota_link due;    /* calls with the client's timeout, which end in this order */
	struct rota_timer timer; /* for the first of them, or earlier */
	size_t running;          /* calls that have not been told */
	const struct rota_close_info *why; /* of the connection whose calls are told */
	struct rota_task task;

	rota_client_drained_fn *on_drained;
	void *drained_userdata;
	bool is_draining;
	bool is_drained;
	bool is_freed;
	bool is_ending; /* the context is */

	size_t streams;
	unsigned holds;
	struct rota_client_meter meter;
};

/* client.c */

/* Around whatever may call the user back. The client may be gone behind the latter. */
void rota__client_hold(struct rota_client *client);
void rota__client_let_go(struct rota_client *client);

/* Whether it still makes connections. */
static inline bool
rota__client_is_alive(const struct rota_client *client)
{
	return client->ctx != NULL && !client->is_freed && !client->is_ending;
}

/* A call was told, or a connection is gone: perhaps it has drained. */
void rota__client_look_drained(struct rota_client *client);

/* client_call.c */

/* Calls that wait go out as far as there is room. */
void rota__client_pump(struct rota_client *client);

/* Takes a call from wherever it is; it has its outcome, and stands behind the others in list. */
void rota__call_end(struct rota_call *call, enum rota_outcome outcome, struct rota_link *list);

/*
 * It waits again, in front of next (a link, or a list: behind all): it was not taken, or may be
 * sent again.
 */
void rota__call_wait_again(struct rota_call *call, struct rota_link *next);

/* The only place where on_done is called. */
void rota__call_tell(struct rota_call *call, const struct rota_answer *answer);
/* Tells all that have ended. */
void rota__client_tell(struct rota_client *client);

/* Every call ends, as cancelled. */
void rota__client_end_calls(struct rota_client *client);

/* Whether a call whose connection was lost is to be sent again. */
bool rota__client_may_retry(struct rota_client *client, const struct rota_call *call);

rota_timer_fn rota__client_on_due;
rota_task_fn rota__client_on_task;

/* client_choice.c */

/* Where the next call goes; NULL: it waits. The connection whose turn it would be is begun. */
struct rota__connection *rota__client_choose(struct rota_client *client);

/* Begins the connections that there should be now, or sees to it that they are later. */
void rota__client_connect(struct rota_client *client);

/* A connection of the target failed, or was lost as if it had. */
void rota__target_failed(struct rota_client *client, struct rota__target *target);
void rota__target_works(struct rota__target *target);

rota_timer_fn rota__target_on_timer;

/* client_connection.c */

void rota__connection_init(struct rota_client *client, struct rota__connection *connection,
	struct rota__target *target);
void rota__connection_fini(struct rota__connection *connection);

extern const struct rota_stream_handlers rota__connection_handlers;

/* Connects; it has no stream. */
void rota__connection_begin(struct rota__connection *connection);
void rota__connection_close(struct rota__connection *connection);
void rota__connection_abort(struct rota__connection *connection);

bool rota__connection_has_room(const struct rota__connection *connection);

/*
 * Sends a call that is in no list. 0; -ROTA_EFULL; -ENOTCONN; or another error, which is the
 * call's.
 */
int rota__connection_send(struct rota__connection *connection, struct rota_call *call);

/* Sends a frame without a body. */
void rota__connection_send_head(struct rota__connection *connection, unsigned kind, uint32_t id);
/* A frame: a head of head_len bytes, which may be 0, and a body. As rota_stream_send_parts. */
int rota__connection_send_frame(struct rota__connection *connection, const unsigned char *head,
	size_t head_len, const void *body, size_t len);

/* A call of it has ended: it gets no reply. */
void rota__connection_forget(struct rota__connection *connection, struct rota_call *call);
/* It takes no more calls, and is closed when those it has are over. */
void rota__connection_leave(struct rota__connection *connection);
/* It owed a reply that has not come in time. */
void rota__connection_look_silent(struct rota__connection *connection, rota_time now);

/* Notes why it will be cut off, for who is told. Returns -EPROTO, for the stream's on_data. */
int rota__connection_fault(struct rota__connection *connection, enum rota_reason reason,
	const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Its stream is gone: what becomes of its calls. */
void rota__connection_lose_calls(struct rota__connection *connection,
	const struct rota_close_info *why);

/* Its stream is a parent's. */
void rota__connection_drop(struct rota__connection *connection);

/* client_input.c */

/* A stream's on_data. */
ssize_t rota__connection_take(struct rota__connection *connection, const char *bytes, size_t len);

#endif
