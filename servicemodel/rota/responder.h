/* SPDX-License-Identifier: MIT */
/*
 * Rota: responders, which answer a gather's questions in another process. At the other ends of
 * their two channels is a backing (<rota/gather_backing.h>), whose producer is registered there:
 *
 *     rota_channel_new(NULL, &questions);
 *     rota_channel_new(NULL, &answers);
 *     if (fork() == 0) {
 *             rota_channel_receiver(questions, &receiver);
 *             rota_channel_sender(answers, &sender);
 *             …                    both channels are freed, here and there
 *             rota_responder_new(receiver, sender, &handlers, NULL, NULL, &responder);
 *             rota_responder_handle_until_closed(responder);
 *             …
 *     }
 *     rota_channel_sender(questions, &sender);
 *     rota_channel_receiver(answers, &receiver);
 *
 * Others get their ends by name (rota_channel_bind). Who binds holds all ends as long as the
 * binding is there: so it is best the responder's process, which takes its binding with it when it
 * dies; but then its end, that nobody asks any more, is not noticed before it unbinds.
 *
 * A responder is one thread's: it blocks that, or is attached to a context. It keeps nothing for a
 * question, so that it costs nothing to be silent, and what is answered twice is found out at the
 * other side. Every call is legal in every handler, to free it included, except those that say
 * -EDEADLK.
 *
 * For others who speak this: events that carry one packed array each (<rota/pack.h>). A question
 * is "question" with [U u I s y], the request's id, an index, the instant of CLOCK_MONOTONIC, in
 * nanoseconds, at which it ends, its topic and its payload; it is over by "over" with [U u], id and
 * index. To settle it once is "answer" with [U u y], id, index and the answer; or "refuse", "died"
 * with [U u s], and a text about why; or "fail" with [U u s i], a text and a negative error.
 */
#ifndef ROTA_RESPONDER_H
#define ROTA_RESPONDER_H

#include <rota/api.h>
#include <rota/clock.h>

ROTA_BEGIN_DECLS

struct rota_context;
struct rota_receiver;
struct rota_responder;
struct rota_sender;

/*
 * What was asked: a value that may be copied and kept as long as the responder lives. What is in it
 * is the library's; two are of the same question when id and index are equal.
 */
struct rota_responder_question {
	struct rota_responder *responder;
	uint64_t id;
	uint32_t index;
	rota_time deadline;
};

/* The table must outlive the responder. */
struct rota_responder_handlers {
	/*
	 * A question; all pointers are good until this returns. Answer it, or copy the question and
	 * answer it later. Returns 0, or a negative error: the question has failed with it, unless
	 * it was settled meanwhile. Must be set.
	 */
	int (*on_question)(const struct rota_responder_question *question, const char *topic,
		const void *bytes, size_t len, void *userdata);

	/*
	 * The request has ended before an answer of this one was there: nobody waits for it any
	 * more. It may have been on its way. NULL: nobody is told.
	 */
	void (*on_over)(const struct rota_responder_question *question, void *userdata);

	/*
	 * Of one that is attached: nobody asks any more, or hears answers. Once, in a turn, and
	 * nothing follows. It is still to be freed. NULL: nobody is told.
	 */
	void (*on_close)(struct rota_responder *responder, void *userdata);
};

/* Begin with ROTA_RESPONDER_OPTIONS_INIT, whose values are in brackets. */
struct rota_responder_options {
	size_t size; /* of this struct, set by _INIT */
	/*
	 * Bytes of answers that one that is attached keeps while the channel is full, with some
	 * that each needs besides [1 MiB]. 0: nothing is kept.
	 */
	size_t kept_max;
};

/* clang-format off */
#define ROTA_RESPONDER_OPTIONS_INIT { sizeof(struct rota_responder_options), (size_t)1 << 20 }
/* clang-format on */

/*
 * Makes a responder of the ends of two channels, which are its own when this returns 0, and closed
 * by it; they are attached to nothing. options (NULL: the defaults) are copied. Free it with
 * rota_responder_free. Returns 0; -EINVAL without on_question, or for options of another size;
 * -ENOMEM.
 */
ROTA_API int rota_responder_new(struct rota_receiver *receiver, struct rota_sender *sender,
	const struct rota_responder_handlers *handlers, void *userdata,
	const struct rota_responder_options *options, struct rota_responder **ret_responder);

/*
 * Leaves: questions that it had and has not answered have died, if it was the last. Answers that
 * are kept for room are lost; those that were sent arrive. No handler is called any more. NULL does
 * nothing.
 */
ROTA_API void rota_responder_free(struct rota_responder *responder);

/*
 * Attaches it to a context: from now on questions are handled in turns. When the context is freed
 * it is detached. Returns 0; -EALREADY; as rota_target_start.
 */
ROTA_API int rota_responder_attach(struct rota_responder *responder, struct rota_context *ctx);

/*
 * Handles one event, a question or that one is over, for which it waits at most timeout (0: not at
 * all; ROTA_NEVER). One that is attached waits by turns of its context. Returns 1; 0 when the time
 * is over; -ROTA_ECLOSED when nobody asks any more; -EDEADLK in a handler; -ROTA_ESTOPPED; and the
 * others of rota_receiver_handle_next.
 */
ROTA_API int rota_responder_handle_next(struct rota_responder *responder, rota_time timeout);

/* Handles all until nobody asks any more. Returns 0, or as above. */
ROTA_API int rota_responder_handle_until_closed(struct rota_responder *responder);

/*
 * Answers: len bytes, which are copied. In a handler of any kind, and between. One that is not
 * attached waits for room; one that is keeps what there is none for.
 *
 * Returns 0: it is on its way, and counts if it comes in time. -ROTA_ELATE when it is late already,
 * and was dropped and counted. Otherwise the question can be settled still: -EMSGSIZE for more than
 * the channel's event_max; -ROTA_EFULL for more than kept_max; -ENOMEM. -EPIPE when nobody hears
 * any more, and the others of rota_sender_fire.
 */
ROTA_API int rota_responder_answer(const struct rota_responder_question *question,
	const void *bytes, size_t len);

/*
 * Settle a question without an answer: refused; failed, with a negative error; died, as what was
 * asked for it there has. text (NULL: none) is cut to ROTA_GATHER_TEXT_MOST bytes there. Return as
 * rota_responder_answer; -EINVAL for an error that is not negative.
 */
ROTA_API int rota_responder_refuse(const struct rota_responder_question *question,
	const char *text);
ROTA_API int rota_responder_fail(const struct rota_responder_question *question, int error,
	const char *text);
ROTA_API int rota_responder_died(const struct rota_responder_question *question, const char *text);

/* How long an answer is still waited for, by the system's clock. 0 when it is over. */
ROTA_API rota_time rota_responder_left(const struct rota_responder_question *question);

/* What a responder counts. */
struct rota_responder_meter {
	uint64_t questions; /* that on_question was called for */
	uint64_t stale;     /* that were over when they came, so that it was not */
	uint64_t overs;     /* that were told */
	uint64_t settled;   /* answers, refusals and so on that were fired or kept */
	uint64_t late;      /* that were dropped */
	uint64_t bad;       /* events that are none */
	uint64_t delayed;   /* events that were kept, for room */
	uint64_t refused;   /* that were not, for kept_max */
	uint64_t lost;      /* that were kept and could not be fired; failures that were not */
	/* Now: */
	size_t kept; /* bytes */
};

/* Good until the next call with the responder. */
ROTA_API const struct rota_responder_meter *rota_responder_meter(struct rota_responder *responder);

ROTA_END_DECLS

#endif
