/* SPDX-License-Identifier: MIT */
/*
 * Rota: clients. A client makes calls, requests that are replied to, to one or several servers: it
 * connects, on demand or beforehand, and again after a loss, queues what cannot go out yet, and
 * sees to it that each call has exactly one outcome, in time. The other end is a dialog
 * (<rota/dialog.h>, which has the wire's format), or whoever speaks the protocol.
 *
 * A call is embedded in its owner, as a timer is; the client neither copies nor allocates anything
 * for it, whether it is sent, queued or sent again. Outcomes come in turns only, never inside the
 * call that makes or cancels one; the exceptions are rota_client_free and rota_context_free, inside
 * of which the last ones come. In on_done every call is legal: to make the same call again, to free
 * its memory, or to free the client.
 *
 * All calls are for the context's own thread.
 */
#ifndef ROTA_CLIENT_H
#define ROTA_CLIENT_H

#include <rota/api.h>
#include <rota/clock.h>
#include <rota/dialog.h>
#include <rota/framing.h>
#include <rota/list.h>
#include <rota/stream.h>
#include <rota/timer.h>

ROTA_BEGIN_DECLS

struct rota_call;
struct rota_client;
struct rota_context;

/* X(name, word): how a call can end. */
#define ROTA_OUTCOMES(X) \
	X(ROTA_CALL_REPLIED, "replied") \
	X(ROTA_CALL_TIMED_OUT, "timed out") \
	X(ROTA_CALL_CANCELLED, "cancelled") \
	X(ROTA_CALL_REFUSED, "refused") \
	X(ROTA_CALL_LOST, "lost")

/*
 *   replied     the reply has come
 *   timed out   none had, in time; it was or was not done
 *   cancelled   by rota_call_cancel, by rota_client_free or by the context's end
 *   refused     by the peer, with code and text; or, with an error, it could not be sent after it
 *               had been queued: not done
 *   lost        the connection ended after it was sent, or a part of it: perhaps done
 */
enum rota_outcome {
#define ROTA_OUTCOME_CODE(name, word) name,
	ROTA_OUTCOMES(ROTA_OUTCOME_CODE)
#undef ROTA_OUTCOME_CODE
		ROTA_OUTCOME_COUNT, /* how many there are */
};

/* "replied", "timed out" …: a static string. */
ROTA_API const char *rota_outcome_name(enum rota_outcome outcome);

/* What a call has come to; good until on_done returns. */
struct rota_answer {
	enum rota_outcome outcome;
	const void *bytes; /* replied: the body */
	size_t len;
	uint32_t code; /* refused by the peer: not 0 (enum rota_refusal) */
	int error; /* the negative errno or library code that goes with it; 0 when it was replied */
	const char *text;                  /* a line for a person */
	const struct rota_close_info *why; /* lost: what the stream's on_close was told */
};

typedef void rota_call_fn(struct rota_call *call, const struct rota_answer *answer);

/*
 * A call. Its memory is the caller's, and stays until on_done is called. What is before the
 * library's part may be changed between calls.
 */
struct rota_call {
	rota_call_fn *on_done;
	rota_time timeout; /* from rota_call to its outcome; 0: the client's; ROTA_NEVER: none */
	/*
	 * May be done twice, as it only reads, say: when its connection is lost before the reply,
	 * it is sent again on another one, within the client's budget for that.
	 */
	bool is_safe;
	void *userdata; /* the caller's own */

	/* What follows is the library's. */
	uint8_t state;
	uint8_t outcome;
	int error;
	uint32_t id;
	struct rota_client *client;
	void *connection;
	const void *bytes;
	size_t len;
	rota_time deadline;
	uint64_t position;
	struct rota_link link;
	struct rota_link due;
	struct rota_timer timer;
};

/* Fills a call: the client's timeout, not safe. */
ROTA_API void rota_call_init(struct rota_call *call, rota_call_fn *on_done);

enum rota_client_choice {
	ROTA_CHOICE_ROUND_ROBIN,       /* the connections in turn */
	ROTA_CHOICE_LEAST_OUTSTANDING, /* that with the fewest calls on it */
};

/* A target, as it is now. text and why are good until the client's next turn. */
struct rota_client_target {
	const char *text;   /* as it was given */
	size_t connections; /* that are open */
	size_t connecting;  /* that are not, yet */
	size_t outstanding; /* calls that were sent there and have no outcome */
	unsigned failures;  /* in a row, since something came from there */
	rota_time next;     /* not tried before this instant; 0: it does not rest */
	const char *why;    /* of the last connection that was lost, or failed; "" without one */
};

/* Every member may be NULL. The table must outlive the client. */
struct rota_client_handlers {
	/*
	 * A connection to a target (the index-th) was opened, was lost, or could not be made:
	 * rota_client_target tells how it stands. why is NULL when one was opened, and otherwise
	 * good until this returns.
	 */
	void (*on_state)(struct rota_client *client, size_t index,
		const struct rota_close_info *why, void *userdata);

	/*
	 * Something that is no reply: by id, a notice; ordered, a frame when no call is
	 * outstanding. bytes are good until this returns. NULL: notices are thrown away, and such
	 * a frame ends the connection.
	 */
	void (*on_notice)(struct rota_client *client, const void *bytes, size_t len,
		void *userdata);
};

/* Begin with ROTA_CLIENT_OPTIONS_INIT, whose values are in brackets. */
struct rota_client_options {
	size_t size; /* of this struct, set by _INIT */
	/*
	 * Addresses or HOST:PORT, as rota_connect takes them, behind the last one NULL; 1 to 256 of
	 * them, copied [NULL]
	 */
	const char *const *targets;
	struct rota_framing framing;    /* must be set; see struct rota_dialog, by id */
	enum rota_dialog_order order;   /* [ROTA_DIALOG_ORDERED] */
	enum rota_client_choice choice; /* [ROTA_CHOICE_ROUND_ROBIN] */
	size_t connections;             /* to each target, 1 to 256 [1] */
	/* connect at once, and again after a loss; otherwise when there are calls [false] */
	bool keep_warm;
	/* calls on a connection that were not replied to; 1: no pipelining; at most 65536 [1024] */
	size_t max_in_flight;
	size_t max_waiting; /* calls that were not sent yet; more are refused [1024] */
	rota_time timeout;  /* of calls that have none of their own [10 s] */
	rota_time idle;     /* unless kept warm, connections without a call are closed [1 min] */
	/*
	 * When calls time out on a connection from which nothing has come for so long, though
	 * something was to, it is given up [30 s]
	 */
	rota_time silence;
	/*
	 * How long a target rests that failed: this, doubling to the second, less up to the half by
	 * chance [100 ms, 10 s]
	 */
	rota_time backoff_first;
	rota_time backoff_most;
	uint64_t seed; /* of that chance; 0: another one for each client [0] */
	/* Safe calls are sent again at most so often: in percent of all calls [10], plus [10] */
	unsigned retry_percent;
	unsigned retry_reserve;
	/*
	 * Of the connections: TLS, timeouts, marks. handlers, session_size and idle_timeout are the
	 * client's own; input_limit is raised to what the longest frame needs.
	 */
	struct rota_stream_options stream;
	const struct rota_client_handlers *handlers; /* [NULL: none] */
	void *userdata;                              /* given to these [NULL] */
};

/* clang-format off */
#define ROTA_CLIENT_OPTIONS_INIT \
	{ sizeof(struct rota_client_options), NULL, ROTA_FRAMING_INIT, ROTA_DIALOG_ORDERED, \
		ROTA_CHOICE_ROUND_ROBIN, 1, false, 1024, 1024, 10 * ROTA_SECOND, ROTA_MINUTE, \
		30 * ROTA_SECOND, 100 * ROTA_MILLISECOND, 10 * ROTA_SECOND, 0, 10, 10, \
		ROTA_STREAM_OPTIONS_INIT, NULL, NULL }
/* clang-format on */

/*
 * Makes a client. options are copied. Free it with rota_client_free. Returns 0; -EINVAL for options
 * that make no sense; an error of rota_address_parse for a target, other than -ROTA_ENAME; -ENOMEM.
 */
ROTA_API int rota_client_new(struct rota_context *ctx, const struct rota_client_options *options,
	struct rota_client **ret_client);

/*
 * Cuts off its connections; calls without an outcome are cancelled, and their on_done called,
 * before this returns. No other handler is called any more. Also after its context was freed, which
 * has cancelled them then. client NULL does nothing.
 */
ROTA_API void rota_client_free(struct rota_client *client);

/*
 * Makes a call: len bytes, which must stay as they are until on_done. It goes out now if there is a
 * connection with room, and is queued otherwise, for as long as its timeout says.
 *
 * Returns 0, and on_done follows. Otherwise it does not: -ROTA_ELIMIT when max_waiting calls are
 * queued; -EALREADY when this call is under way; -EMSGSIZE or -ROTA_EFRAME for what the framing
 * cannot carry; -EINVAL without on_done, or for a negative timeout; -ECANCELED when the client
 * drains, is being freed, or has no context any more; -ENOMEM.
 */
ROTA_API int rota_call(struct rota_client *client, struct rota_call *call, const void *bytes,
	size_t len);

/*
 * Wants no reply any more: on_done follows, in a turn, with the outcome cancelled. By id the server
 * is told; otherwise its reply is thrown away when it comes. Returns 0; -EALREADY when the call has
 * its outcome, also one that on_done has not told yet, or is not under way.
 */
ROTA_API int rota_call_cancel(struct rota_call *call);

/* Whether it has been made, and on_done not called. */
ROTA_API bool rota_call_is_running(const struct rota_call *call);

/* A reply to rota_call_wait. */
struct rota_reply {
	void *bytes; /* where its body is to go, and how many bytes that may have */
	size_t size;
	size_t len;                /* set: how many it has */
	enum rota_outcome outcome; /* set: as in struct rota_answer */
	uint32_t code;
	char text[160]; /* what answer->text said */
};

/*
 * Makes a call and waits for its outcome, in turns (rota_wait): timeout is as a call's. Returns 0
 * when it was replied, with the body in reply->bytes; -EMSGSIZE when that has no room for it (len
 * is set, and the outcome); -ETIMEDOUT; -ECANCELED; -ROTA_EREFUSED; -ROTA_ELOST; what rota_call
 * returns; -EDEADLK in a handler or hook, and the others of rota_wait, after which the call is
 * cancelled.
 */
ROTA_API int rota_call_wait(struct rota_client *client, const void *bytes, size_t len,
	rota_time timeout, struct rota_reply *reply);

/* Sends something that is not replied to: a notice, by id only (-ENOTSUP otherwise). The bytes are
 * copied. 0, -ENOTCONN when no connection is open, -ROTA_EFULL when none of these has room, or as
 * rota_call. */
ROTA_API int rota_client_notify(struct rota_client *client, const void *bytes, size_t len);

typedef void rota_client_drained_fn(struct rota_client *client, void *userdata);

/*
 * Comes to an end: no further call is taken; when those under way have their outcomes, connections
 * are closed; then on_drained (NULL: nobody is told) is called once, in a turn, not inside this
 * call, and not if the client is freed before. Returns 0; -EALREADY while, or after, it drains;
 * -ECANCELED without a context.
 */
ROTA_API int rota_client_drain(struct rota_client *client, rota_client_drained_fn *on_drained,
	void *userdata);

/* What a client counts. */
struct rota_client_meter {
	uint64_t calls;                        /* that rota_call took */
	uint64_t outcomes[ROTA_OUTCOME_COUNT]; /* of these, told */
	uint64_t refused;      /* calls that rota_call did not take, as too many were waiting */
	uint64_t retries;      /* sent again, as their connection was lost */
	uint64_t moved;        /* queued again, as their connection had not taken them */
	uint64_t late;         /* replies that nobody waited for any more */
	uint64_t connects;     /* connections that were begun */
	uint64_t opened;       /* that were opened */
	uint64_t lost;         /* that ended unasked, or could not be made */
	uint64_t most_waiting; /* at once, ever */
	uint64_t notices;      /* that have come */
};

ROTA_API const struct rota_client_meter *rota_client_meter(const struct rota_client *client);

/* Calls that have been made and not sent; those that are under way in all. */
ROTA_API size_t rota_client_waiting(const struct rota_client *client);
ROTA_API size_t rota_client_running(const struct rota_client *client);

/* How the index-th target stands: 0, or -ENOENT behind the last. */
ROTA_API int rota_client_target(const struct rota_client *client, size_t index,
	struct rota_client_target *ret_target);

/* NULL once it was freed. */
ROTA_API struct rota_context *rota_client_context(const struct rota_client *client);
ROTA_API void *rota_client_userdata(const struct rota_client *client);

ROTA_END_DECLS

#endif
