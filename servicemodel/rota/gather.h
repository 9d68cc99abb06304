/* SPDX-License-Identifier: MIT */
/*
 * Rota: gathers. A request goes to every producer of its topic; each may answer, at once or later;
 * listeners of the topic get the answers as they come; and when all have answered, or its time to
 * live is over, the request ends with a summary that says what became of each producer.
 *
 * A topic is words with dots between them, such as "weather.oslo". Producers and listeners register
 * for a topic, which is then matched exactly, or for a pattern, in which the word * stands for any
 * one word and > at the end for any one or more: "weather.*", "weather.>". A producer with several
 * topics that match is asked once, and a listener with several is told once.
 *
 * Handlers are called in turns only, never inside the call that causes them, with the exception of
 * rota_gather_free and rota_context_free, inside of which the last on_done come. Every call is
 * legal in them, also to free the producer or listener that is called, or the gather. All calls are
 * for the context's own thread; another thread posts (rota_post) what is to call them.
 *
 * What happens in the middle is settled by these rules:
 *
 *   Asked are the producers that are registered when the request is made. One that registers later
 *   is not, and one that has deregistered before the turn in which it would be asked is not either:
 *   it is missing.
 *
 *   A producer that deregisters is asked nothing more. What it was asked before it may still
 *   answer. One that is freed has given up: what it was asked and has not answered is missing at
 *   once.
 *
 *   An answer is for the listeners that are registered when it is told. Answers are told in the
 *   order in which they were given, and all that were given before its end are told before a
 *   request's on_done.
 *
 *   A producer settles a question once. What comes later than the request's end is dropped and
 *   counted.
 *
 * In a steady state no memory is allocated for a request.
 */
#ifndef ROTA_GATHER_H
#define ROTA_GATHER_H

#include <rota/api.h>
#include <rota/clock.h>

ROTA_BEGIN_DECLS

struct rota_context;
struct rota_gather;
struct rota_gather_listener;
struct rota_gather_producer;

/* The longest topic, in bytes; the longest name of a producer; and line of text. */
#define ROTA_TOPIC_MOST 255
#define ROTA_GATHER_NAME_MOST 63
#define ROTA_GATHER_TEXT_MOST 255
/* Most requests at a time that options can allow. */
#define ROTA_GATHER_REQUESTS_MOST 1048576

/* Topics */

/*
 * Whether text is a topic or, with is_pattern, a topic or a pattern: 1 to ROTA_TOPIC_MOST bytes in
 * words that are not empty, with one dot between two; no spaces or control characters; * and > only
 * in patterns, each as a whole word, > as the last. Returns 0; or -ROTA_ETOPIC, and if why is not
 * NULL a line about what is wrong and where in these size bytes, cut if it is longer. From any
 * thread.
 */
ROTA_API int rota_topic_check(const char *text, bool is_pattern, char *why, size_t size);

/*
 * Whether a topic is one that a topic or pattern stands for. Both must be sound. From any thread.
 */
ROTA_API bool rota_topic_matches(const char *pattern, const char *topic);

/* How it ends */

/* X(name, word): what became of a producer that was registered when a request was made. */
#define ROTA_GATHER_OUTCOMES(X) \
	X(ROTA_GATHER_ANSWERED, "answered") \
	X(ROTA_GATHER_REFUSED, "refused") \
	X(ROTA_GATHER_FAILED, "failed") \
	X(ROTA_GATHER_MISSING, "missing") \
	X(ROTA_GATHER_DIED, "died")

/*
 *   answered  it has
 *   refused   it does not want to answer this
 *   failed    it wanted to, and could not
 *   missing   it was silent until the end, or has deregistered before it was asked, or was freed
 *   died      what was to answer, its process, say, is no more
 */
enum rota_gather_outcome {
#define ROTA_GATHER_OUTCOME(name, word) name,
	ROTA_GATHER_OUTCOMES(ROTA_GATHER_OUTCOME)
#undef ROTA_GATHER_OUTCOME
		ROTA_GATHER_OUTCOME_COUNT, /* how many there are */
};

/* X(name, word): why a request has ended. */
#define ROTA_GATHER_ENDS(X) \
	X(ROTA_GATHER_COMPLETE, "complete") \
	X(ROTA_GATHER_TIMED_OUT, "timed out") \
	X(ROTA_GATHER_CANCELLED, "cancelled") \
	X(ROTA_GATHER_STOPPED, "stopped")

/*
 *   complete   every producer has answered, refused, failed, died or given up; or there was none
 *   timed out  its time to live was over
 *   cancelled  by rota_gather_cancel
 *   stopped    by rota_gather_stop, rota_gather_free or the context's end
 */
enum rota_gather_end {
#define ROTA_GATHER_END(name, word) name,
	ROTA_GATHER_ENDS(ROTA_GATHER_END)
#undef ROTA_GATHER_END
		ROTA_GATHER_END_COUNT, /* how many there are */
};

/* "answered", "refused" …; "complete", "timed out" …: static strings. */
ROTA_API const char *rota_gather_outcome_name(enum rota_gather_outcome outcome);
ROTA_API const char *rota_gather_end_name(enum rota_gather_end end);

/* What became of one producer. */
struct rota_gather_result {
	const char *producer; /* its name */
	enum rota_gather_outcome outcome;
	rota_time after;   /* from the request to its answer, or whatever it was */
	int error;         /* of one that has failed: negative; otherwise 0 */
	const char *text;  /* of one that has refused, failed or died: a line about why; or "" */
	const void *bytes; /* answered, and for rota_gather_request_wait only: its answer */
	size_t len;
};

/* What a request has come to. */
struct rota_gather_summary {
	uint64_t id;
	const char *topic;
	enum rota_gather_end end;
	rota_time after;                            /* from the request to its end */
	size_t outcomes[ROTA_GATHER_OUTCOME_COUNT]; /* how many producers of each */
	size_t count;                               /* of all */
	/*
	 * each of them, in the order in which they were asked: those that are registered for the
	 * topic itself, then those for patterns, each in the order of their registrations
	 */
	const struct rota_gather_result *results;
};

/* Gathers */

/* Begin with ROTA_GATHER_OPTIONS_INIT, whose values are in brackets. */
struct rota_gather_options {
	size_t size;          /* of this struct, set by _INIT */
	size_t max_requests;  /* at a time, 1 to ROTA_GATHER_REQUESTS_MOST [65,536] */
	size_t max_questions; /* of these: producers that are asked, in all [262,144] */
	/*
	 * Bytes that are kept at a time: of payloads until they were asked, and of answers until
	 * they were told, or collected [64 MiB]
	 */
	size_t max_bytes;
	size_t max_producers; /* [1024] */
	size_t max_listeners; /* [1024] */
	/*
	 * topics and patterns for which producers and listeners are registered, all told [65,536]
	 */
	size_t max_topics;
};

/* clang-format off */
#define ROTA_GATHER_OPTIONS_INIT \
	{ sizeof(struct rota_gather_options), 65536, 262144, (size_t)64 << 20, 1024, 1024, 65536 }
/* clang-format on */

/*
 * Makes a gather. options (NULL: the defaults) are copied. Free it with rota_gather_free. Returns
 * 0; -EINVAL for options that make no sense; -ENOMEM.
 */
ROTA_API int rota_gather_new(struct rota_context *ctx, const struct rota_gather_options *options,
	struct rota_gather **ret_gather);

/*
 * Ends what is under way, in the order in which it was requested: each on_done is called, with the
 * end "stopped", before this returns; no other handler is called any more, and answers that were
 * not told are dropped. Its producers and listeners are freed. Also after its context was freed,
 * which has ended the requests then. gather NULL does nothing.
 */
ROTA_API void rota_gather_free(struct rota_gather *gather);

typedef void rota_gather_stopped_fn(struct rota_gather *gather, void *userdata);

/*
 * Stops it: no further request is taken. Those under way go on for grace at most (0: they end now,
 * after the answers that were given are told), and end as "stopped" then. When the last on_done was
 * called, on_stopped (NULL: nobody is told) is called once, in a turn, and not if the gather is
 * freed before. Producers and listeners stay registered. Returns 0; -EALREADY while, or after, it
 * stops; -EINVAL for a negative grace; -ECANCELED without a context; -ENOMEM.
 */
ROTA_API int rota_gather_stop(struct rota_gather *gather, rota_time grace,
	rota_gather_stopped_fn *on_stopped, void *userdata);

/*
 * After on_stopped: takes requests again. Returns 0; -EBUSY while it stops; -EALREADY when it was
 * not stopped; -ECANCELED without a context.
 */
ROTA_API int rota_gather_start(struct rota_gather *gather);

/* What a gather counts. */
struct rota_gather_meter {
	uint64_t requests;                            /* that rota_gather_request took */
	uint64_t ends[ROTA_GATHER_END_COUNT];         /* of these, told */
	uint64_t outcomes[ROTA_GATHER_OUTCOME_COUNT]; /* of their producers */
	uint64_t questions;                           /* that producers were asked */
	uint64_t answers;                             /* that were told, to listeners or none */
	uint64_t heard;                               /* on_answer of listeners */
	uint64_t late;       /* answers, refusals and so on that came behind the end */
	uint64_t most;       /* requests at a time, ever */
	uint64_t most_bytes; /* kept at a time, ever */
	/* What was not taken, as a limit was reached: */
	uint64_t refused_requests;  /* max_requests, or max_questions */
	uint64_t refused_bytes;     /* requests and answers, for max_bytes */
	uint64_t refused_producers; /* max_producers */
	uint64_t refused_listeners; /* max_listeners */
	uint64_t refused_topics;    /* max_topics */
	/* Now: */
	size_t running; /* requests */
	size_t bytes;
	size_t producers;
	size_t listeners;
	size_t topics;
};

ROTA_API const struct rota_gather_meter *rota_gather_meter(const struct rota_gather *gather);

/* NULL once it was freed. */
ROTA_API struct rota_context *rota_gather_context(const struct rota_gather *gather);

/* Producers */

/*
 * What one producer was asked by one request: a value that may be copied and kept for as long as
 * its gather lives, also longer than the request, or the producer. What is in it is the library's.
 */
struct rota_question {
	struct rota_gather *gather;
	uint64_t id; /* of the request, as its summary and listeners have it */
	uint32_t index;
};

/* The table must outlive its producers. */
struct rota_gather_producer_handlers {
	/*
	 * A question; question and bytes are good until this returns. Answer it, or copy the
	 * question and answer it later. Returns 0, or a negative error: the question has failed
	 * with it, unless it is settled already. Must be set.
	 */
	int (*on_question)(const struct rota_question *question, const void *bytes, size_t len,
		void *userdata);

	/*
	 * The request has ended before this question was settled: nobody waits for the answer any
	 * more. Called before the request's on_done, as long as the producer is not freed. NULL:
	 * nobody is told.
	 */
	void (*on_over)(const struct rota_question *question, void *userdata);
};

/*
 * A producer, which is asked nothing until it is registered. name is copied, for summaries and
 * listeners (NULL: ""). It is the gather's, and ends with it. Returns 0; -EINVAL without
 * on_question or for a name of more than ROTA_GATHER_NAME_MOST bytes; -ROTA_ELIMIT for more than
 * max_producers; -ECANCELED when the gather is being freed; -ENOMEM.
 */
ROTA_API int rota_gather_producer_new(struct rota_gather *gather, const char *name,
	const struct rota_gather_producer_handlers *handlers, void *userdata,
	struct rota_gather_producer **ret_producer);

/*
 * Deregisters it from everything and frees it: no handler of it is called any more. What it was
 * asked, and has not answered, is missing. NULL does nothing.
 */
ROTA_API void rota_gather_producer_free(struct rota_gather_producer *producer);

/*
 * Registers it for a topic or pattern. Returns 0; -ROTA_ETOPIC for one that is none
 * (rota_topic_check tells why); -EEXIST when it is registered for just this; -ROTA_ELIMIT for more
 * than max_topics; -ECANCELED when the gather is being freed; -ENOMEM.
 */
ROTA_API int rota_gather_producer_register(struct rota_gather_producer *producer,
	const char *topic);

/*
 * Deregisters it from a topic or pattern, as it was registered; NULL: from all. Returns 0, or
 * -ENOENT.
 */
ROTA_API int rota_gather_producer_deregister(struct rota_gather_producer *producer,
	const char *topic);

/*
 * What stands behind it, a process or a connection, say, has died: all that it was asked and has
 * not settled has died. text (NULL: none) says why. It stays registered.
 */
ROTA_API void rota_gather_producer_died(struct rota_gather_producer *producer, const char *text);

/*
 * Answers: len bytes, which are copied. Returns 0, and the question is settled. Otherwise it is
 * not: -ROTA_ELIMIT when max_bytes are kept; -ENOMEM. Or it was before: -EALREADY when it is
 * settled, -ROTA_ELATE when the request has ended, which is counted. In any handler, and between
 * turns.
 */
ROTA_API int rota_question_answer(const struct rota_question *question, const void *bytes,
	size_t len);

/*
 * Settle a question without an answer: refused; failed, with a negative error; died. text (NULL:
 * none) is for the summary, and cut to ROTA_GATHER_TEXT_MOST bytes; without memory for it there is
 * none. Return 0; -EALREADY or -ROTA_ELATE as rota_question_answer; -EINVAL for an error that is
 * not negative.
 */
ROTA_API int rota_question_refuse(const struct rota_question *question, const char *text);
ROTA_API int rota_question_fail(const struct rota_question *question, int error, const char *text);
ROTA_API int rota_question_died(const struct rota_question *question, const char *text);

/*
 * How long an answer is still waited for, so that the time to live travels along with what the
 * producer asks of others. 0 when it is over, or the question is settled.
 */
ROTA_API rota_time rota_question_left(const struct rota_question *question);

/* The request's topic, good as long as it has not ended; NULL then. */
ROTA_API const char *rota_question_topic(const struct rota_question *question);

/*
 * A pointer of the program's, for on_over, say: NULL at first, and again behind the request's end,
 * when setting it does nothing.
 */
ROTA_API void rota_question_set_data(const struct rota_question *question, void *data);
ROTA_API void *rota_question_data(const struct rota_question *question);

/* Listeners */

/* Good until on_answer returns. */
struct rota_gather_answer {
	uint64_t id; /* of the request */
	const char *topic;
	const char *producer; /* its name */
	const void *bytes;
	size_t len;
	rota_time after; /* from the request to the answer */
};

typedef void rota_gather_answer_fn(struct rota_gather_listener *listener,
	const struct rota_gather_answer *answer, void *userdata);

/*
 * A listener, which is told nothing until it is registered. It is the gather's, and ends with it.
 * Returns as rota_gather_producer_new.
 */
ROTA_API int rota_gather_listener_new(struct rota_gather *gather, rota_gather_answer_fn *on_answer,
	void *userdata, struct rota_gather_listener **ret_listener);

/* It is told nothing more. NULL does nothing. */
ROTA_API void rota_gather_listener_free(struct rota_gather_listener *listener);

/* As those of producers. */
ROTA_API int rota_gather_listener_register(struct rota_gather_listener *listener,
	const char *topic);
ROTA_API int rota_gather_listener_deregister(struct rota_gather_listener *listener,
	const char *topic);

/* Requests */

/* summary and all in it is good until this returns. */
typedef void rota_gather_done_fn(struct rota_gather *gather,
	const struct rota_gather_summary *summary, void *userdata);

/*
 * Asks the producers of a topic. payload, len bytes, is copied. They are asked in the next turn
 * that comes to its tasks; ttl nanoseconds from now (rota_context_now) the request ends at the
 * latest, though nobody has answered, or was asked. on_done (NULL: nobody is told) is called once,
 * in a turn; without producers in the next one. ret_id (NULL: nobody wants it) is of no other
 * request of the gather, and never 0.
 *
 * Returns 0, and on_done follows. Otherwise it does not: -ROTA_ETOPIC for what is no topic, a
 * pattern for instance; -EINVAL for a ttl that is negative or ROTA_NEVER; -ROTA_ELIMIT for more
 * than max_requests, max_questions or max_bytes; -ECANCELED when the gather stops, is being freed,
 * or has no context any more; -ENOMEM.
 */
ROTA_API int rota_gather_request(struct rota_gather *gather, const char *topic, const void *payload,
	size_t len, rota_time ttl, rota_gather_done_fn *on_done, void *userdata, uint64_t *ret_id);

/*
 * Ends a request: on_done follows, in a turn, behind the answers that were given before. Returns 0;
 * -ENOENT when there is none with this id, or it has ended.
 */
ROTA_API int rota_gather_cancel(struct rota_gather *gather, uint64_t id);

/*
 * Makes a request, waits for its end in turns (rota_wait), and collects all answers, which
 * listeners are told too: the results of *ret_summary have their bytes. It is the caller's, to be
 * given back with rota_gather_summary_free, before or after the gather. Returns 0, however the
 * request has ended; what rota_gather_request returns; -EDEADLK in a handler or hook, and the
 * others of rota_wait, after which the request is cancelled.
 */
ROTA_API int rota_gather_request_wait(struct rota_gather *gather, const char *topic,
	const void *payload, size_t len, rota_time ttl, struct rota_gather_summary **ret_summary);

/* NULL does nothing. */
ROTA_API void rota_gather_summary_free(struct rota_gather_summary *summary);

ROTA_END_DECLS

#endif
