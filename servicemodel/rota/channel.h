/* SPDX-License-Identifier: MIT */
/*
 * Rota: channels, which carry events between processes of one machine. An event is a name and
 * bytes, or values packed as by <rota/pack.h>:
 *
 *     rota_sender_fire(sender, "on_new_user", "s {admin: b}", "Newman", false);
 *
 * A channel has two ends, one for all senders and one for all receivers, in any processes: those of
 * a family, which have them by fork(2), or others, which ask for them by name. No server, no helper
 * process. A process keeps the ends that it uses:
 *
 *     rota_channel_new(NULL, &channel);
 *     if (fork() == 0) {
 *             rota_channel_receiver(channel, &receiver);
 *             rota_channel_free(channel);
 *             …
 *     }
 *     rota_channel_sender(channel, &sender);
 *     rota_channel_free(channel);
 *
 * Leaving: who closes an end, or dies, leaves. When the last sender is gone, receivers get what is
 * queued, and then -ROTA_ECLOSED. When the last receiver is gone, to fire fails with -EPIPE, and
 * what was queued is lost. Ending (the …_close_channel calls) acts on all: nobody fires any more,
 * what is queued still arrives while a receiver is left, then every receiver gets -ROTA_ECLOSED.
 *
 * A receiver gets the events of each sender in their order; between several receivers there is
 * none. An event goes to one receiver, whole, at most once: those that a receiver had taken die
 * with it. The kernel takes what it has room for, some hundred KiB; then the channel is full.
 *
 * A sender or a receiver is one thread's. Every call is legal in every handler, closing what is
 * being called back included, except those that say -EDEADLK. In a steady state nothing is
 * allocated for an event of up to 64 KiB.
 *
 * Between processes of other libraries: a packet of the SOCK_SEQPACKET socket is a byte 1 and one
 * or several events: 4 bytes, big-endian, the length of what the event carries; 1 byte, the length
 * of its name; 1 byte, 1 if it carries packed values, else 0; the name; a NUL; what it carries. A
 * packet of more than 64 KiB is a memfd instead, with F_SEAL_WRITE, SHRINK, GROW and SEAL, passed
 * by SCM_RIGHTS with a byte 253 and its length, 8 bytes, big-endian. Sockets are never set to
 * O_NONBLOCK, as all holders share that.
 */
#ifndef ROTA_CHANNEL_H
#define ROTA_CHANNEL_H

#include <rota/api.h>
#include <rota/clock.h>
#include <rota/pack.h>

ROTA_BEGIN_DECLS

struct rota_channel;
struct rota_channel_binding;
struct rota_context;
struct rota_receiver;
struct rota_sender;

/* Longest name of an event, in bytes. */
#define ROTA_EVENT_NAME 255

/* The channel */

struct rota_channel_options {
	size_t size; /* of this struct */
	/*
	 * There is, or may be, more than one receiver: each event travels in a packet of its own,
	 * so that every receiver gets its share. Otherwise what is fired in a turn goes together.
	 */
	bool several_receivers;
	/*
	 * Bytes that an event may carry; longer ones are refused, and thrown away if they come. Up
	 * to 65,000 no packet is a memfd: then to receive one costs about an eighth less, and needs
	 * no descriptor. At most 4 GiB - 1; 0: 1 MiB.
	 */
	size_t event_max;
};

/* clang-format off */
#define ROTA_CHANNEL_OPTIONS_INIT { sizeof(struct rota_channel_options), false, 0 }
/* clang-format on */

/*
 * A channel with both of its ends, close-on-exec; options NULL: the defaults. Free it with
 * rota_channel_free. Returns 0; -EINVAL for options that make no sense; -EMFILE, -ENFILE, -ENOMEM.
 */
ROTA_API int rota_channel_new(const struct rota_channel_options *options,
	struct rota_channel **ret_channel);

/*
 * Takes an end, which is no longer the channel's then. Close it with rota_sender_close or
 * rota_receiver_close. Returns 0; -EALREADY when it was taken; -ENOENT when the channel was
 * connected without it; -ENOMEM (the end is still the channel's).
 */
ROTA_API int rota_channel_sender(struct rota_channel *channel, struct rota_sender **ret_sender);
ROTA_API int rota_channel_receiver(struct rota_channel *channel,
	struct rota_receiver **ret_receiver);

/* Frees it, and lets go of the ends that were not taken. NULL does nothing. */
ROTA_API void rota_channel_free(struct rota_channel *channel);

/*
 * Ends the channel for everybody in every process: see above. What has taken both ends does it by
 * rota_sender_close_channel or rota_receiver_close_channel; then this does nothing.
 */
ROTA_API void rota_channel_close(struct rota_channel *channel);

/* By name */

/* rota_channel_bind: processes of other users get ends too. */
#define ROTA_CHANNEL_ANY_USER (1u << 0)

/*
 * Hands out ends of the channel, which must still have both, at "unix:/PATH": to processes of this
 * user and of root, as the kernel says who they are. The path has mode 0600 (0666 for any user),
 * its directory must be one that nobody else can write into; a socket that nobody serves any more
 * is replaced. As long as the binding is there it holds both ends itself, so that nobody is the
 * last; the channel may be freed. It belongs to ctx, and ends with it. Context's thread only.
 *
 * Returns 0; -ROTA_EADDRESS for another address; -EINVAL for unknown flags; -ENOENT when an end was
 * taken; -EADDRINUSE when somebody serves it, or it is no socket; -EPERM for the directory;
 * -ENAMETOOLONG; -EMFILE, -ENOMEM and the like.
 */
ROTA_API int rota_channel_bind(struct rota_channel *channel, struct rota_context *ctx,
	const char *address, unsigned flags, struct rota_channel_binding **ret_binding);

/*
 * Removes the path, and lets go of the ends. In a forked child the path stays the parent's. NULL
 * does nothing. Not after the context was freed.
 */
ROTA_API void rota_channel_unbind(struct rota_channel_binding *binding);

/* rota_channel_connect: which ends are wanted. */
#define ROTA_CHANNEL_SENDER (1u << 1)
#define ROTA_CHANNEL_RECEIVER (1u << 2)

/*
 * Gets ends of the channel that somebody serves at that address, and is trusted: this user or root
 * (with ROTA_CHANNEL_ANY_USER: anybody). The options are those of the other side. Blocks for at
 * most timeout, without turns; who serves it is another process, or another thread. Returns 0;
 * -ETIMEDOUT; -ENOENT or -ECONNREFUSED when nobody serves it; -EPERM; -EPROTO for an answer that is
 * none; -ROTA_EADDRESS; -EINVAL for unknown flags, or no end; -EMFILE, -ENOMEM and the like.
 */
ROTA_API int rota_channel_connect(const char *address, unsigned flags, rota_time timeout,
	struct rota_channel **ret_channel);

/* Sending */

enum rota_when_full {
	ROTA_FULL_BLOCK,  /* to fire waits for room */
	ROTA_FULL_REFUSE, /* to fire returns -ROTA_EFULL */
};

struct rota_sender_handlers {
	/*
	 * There is room again, after -ROTA_EFULL. In a turn; for a sender that is attached.
	 */
	void (*on_drain)(struct rota_sender *sender, void *userdata);
	/*
	 * It was found that nobody receives any more, error is -EPIPE: once, in a turn; for a
	 * sender that is attached. It is still to be closed.
	 */
	void (*on_close)(struct rota_sender *sender, int error, void *userdata);
};

/* What is fired is sent, refused, dropped or waiting. */
struct rota_sender_meter {
	uint64_t fired;
	uint64_t sent;    /* the kernel has them */
	uint64_t refused; /* the channel was full, or ended: the caller was told */
	uint64_t dropped; /* taken, and then nobody received any more, or the context ended */
	uint64_t waiting; /* for the end of the turn, a flush or room */
	uint64_t packets;
	uint64_t bytes; /* of packets */
	uint64_t large; /* packets that were memfds */
	uint64_t waits; /* times that to fire had to wait */
};

/* handlers NULL: none. The table must outlive the sender. */
ROTA_API void rota_sender_set_handlers(struct rota_sender *sender,
	const struct rota_sender_handlers *handlers, void *userdata);

/*
 * What happens when the channel is full: by default ROTA_FULL_BLOCK, for ever; timeout is the
 * longest wait, after which to fire returns -ETIMEDOUT.
 */
ROTA_API void rota_sender_set_when_full(struct rota_sender *sender, enum rota_when_full when_full,
	rota_time timeout);

/*
 * Without a context, events are gathered until 64 KiB are full or rota_sender_flush is called.
 * Flush before you fork: what is gathered would be sent by the child too. Not with several
 * receivers, where it changes nothing.
 */
ROTA_API void rota_sender_gather(struct rota_sender *sender, bool is_gathering);

/*
 * Fires an event: name is 1 to 255 bytes, pattern and arguments are those of rota_pack: positional
 * arguments, then, if there are any, named ones as a map. NULL, or "": it has none. All is copied.
 *
 * An attached sender, in a turn, gathers what is fired until the turn's tasks, or until 64 KiB are
 * full, and never waits; between turns it sends at once, and waiting for room is turns of the
 * context. Any other sends at once, and blocks the thread.
 *
 * Returns 0; -ROTA_EFULL in a turn, or if full is to be refused: on_drain follows; -ETIMEDOUT;
 * -EPIPE when nobody receives any more or the channel was ended; -EINVAL for a name or a pattern
 * that is none; -EMSGSIZE for more than event_max; -ROTA_EPACK as rota_pack; -ROTA_ECLOSED when a
 * handler has closed the sender meanwhile; -ROTA_ESTOPPED when rota_context_stop was called
 * meanwhile; -ENOMEM, and for large events -EMFILE and the like. After an error nothing was fired.
 */
ROTA_API int rota_sender_fire(struct rota_sender *sender, const char *name, const char *pattern,
	...);
ROTA_API int rota_sender_fire_va(struct rota_sender *sender, const char *name, const char *pattern,
	va_list arguments);

/* The same with bytes as they are. bytes may be NULL when len is 0. */
ROTA_API int rota_sender_fire_bytes(struct rota_sender *sender, const char *name, const void *bytes,
	size_t len);

/* Sends what is gathered, now. Returns 0, or as rota_sender_fire when there is no room. */
ROTA_API int rota_sender_flush(struct rota_sender *sender);

/*
 * Attaches it to a context, of any kind and under any host, until it is detached or closed; when
 * the context is freed it is detached. Returns 0; -EALREADY; as rota_target_start.
 */
ROTA_API int rota_sender_attach(struct rota_sender *sender, struct rota_context *ctx);

/* What is gathered stays so: flush first. Nothing, if not attached. */
ROTA_API void rota_sender_detach(struct rota_sender *sender);

ROTA_API const struct rota_sender_meter *rota_sender_meter(const struct rota_sender *sender);

/*
 * The sender leaves; NULL does nothing. What was gathered is sent first: if there is no room, an
 * attached sender stays until there is, without a handler being called; another blocks as for
 * firing. Its pointer is dead.
 */
ROTA_API void rota_sender_close(struct rota_sender *sender);

/* Ends the channel for everybody: see above. What was gathered is sent first, if there is room. */
ROTA_API void rota_sender_close_channel(struct rota_sender *sender);

/* Receiving */

struct rota_event {
	const char *name; /* ended by a NUL, and has no other */
	size_t name_len;
	const void *bytes; /* good until the handler returns; aligned for nothing */
	size_t len;
	bool is_packed; /* fired with a pattern */
};

/* rota_unpack of what an event carries; -ROTA_EPACK also for bytes that were fired as they are. */
ROTA_API ssize_t rota_event_unpack(const struct rota_event *event, struct rota_unpack_error *error,
	const char *pattern, ...);

/*
 * An event. Returns 0, or a negative error for error_in_handler; the event's other handlers are
 * called all the same.
 */
typedef int rota_event_fn(struct rota_receiver *receiver, const struct rota_event *event,
	void *userdata);

struct rota_receiver_handlers {
	/* Every event, behind the handlers of its name. */
	rota_event_fn *on_event;
	/*
	 * A handler returned an error. Returns ROTA_CONTINUE, or ROTA_STOP (<rota/iterate.h>): no
	 * further event is handled, what handles them returns -ROTA_ESTOPPED, and an attached
	 * receiver stops its context's loop. NULL: it is counted.
	 */
	int (*error_in_handler)(struct rota_receiver *receiver, const struct rota_event *event,
		int error, void *userdata);
	/*
	 * The end of an attached receiver, or of one handled in a thread: no event follows. Once,
	 * in a turn, or where events are handled. It is still to be closed.
	 */
	void (*on_close)(struct rota_receiver *receiver, void *userdata);
};

struct rota_receiver_meter {
	uint64_t events;  /* that came */
	uint64_t ignored; /* of them, those that no handler wanted */
	uint64_t errors;  /* that handlers returned */
	uint64_t packets;
	uint64_t bytes; /* of packets */
	uint64_t lost;  /* packets that there was no descriptor or no memory for */
	uint64_t bad;   /* packets that were none, or too long */
};

/* handlers NULL: none. The table must outlive the receiver. */
ROTA_API void rota_receiver_set_handlers(struct rota_receiver *receiver,
	const struct rota_receiver_handlers *handlers, void *userdata);

/*
 * Connects a handler with a name; a name may have several, which are called in the order of the
 * connects. Connected in a handler, it gets from the next event on. Events of other names are
 * ignored. Returns 0; -EINVAL for a name that is none; -ENOMEM.
 */
ROTA_API int rota_receiver_connect(struct rota_receiver *receiver, const char *name,
	rota_event_fn *handler, void *userdata);

/*
 * Disconnects the first that was connected so. It is not called again, also not for the present
 * event. Returns 0 or -ENOENT.
 */
ROTA_API int rota_receiver_disconnect(struct rota_receiver *receiver, const char *name,
	rota_event_fn *handler, void *userdata);

/*
 * Handles one event, for which it waits at most timeout (0: not at all; ROTA_NEVER). One that is
 * ignored is handled too. An attached receiver waits by turns of its context. Returns 1; 0 when the
 * time is over; -ROTA_ECLOSED when the channel is at its end; -ROTA_ESTOPPED; -EDEADLK in a handler
 * of the receiver or, for an attached one that has to wait, in a turn; -EBUSY when it is handled in
 * a thread; -ENOMEM and the like.
 */
ROTA_API int rota_receiver_handle_next(struct rota_receiver *receiver, rota_time timeout);

/*
 * Handles what is queued, without waiting, until nothing is. Returns how many events; -ROTA_ECLOSED
 * if there were none and the channel is at its end; or as above.
 */
ROTA_API int rota_receiver_handle_pending(struct rota_receiver *receiver);

/* Handles events until the channel is at its end. Returns 0, or as above. */
ROTA_API int rota_receiver_handle_until_closed(struct rota_receiver *receiver);

/*
 * Attaches it to a context, of any kind and under any host: from now on its events are handled in
 * turns, beside sockets and timers. When the context is freed it is detached. Returns 0; -EALREADY;
 * -EBUSY when it is handled in a thread; as rota_target_start.
 */
ROTA_API int rota_receiver_attach(struct rota_receiver *receiver, struct rota_context *ctx);

/* Nothing, if not attached. */
ROTA_API void rota_receiver_detach(struct rota_receiver *receiver);

/* What call_soon is given: returns 0. */
typedef int rota_run_fn(void *argument);

/*
 * Has run(argument) called once, soon, in the thread that owns the receiver. Called in the
 * receiver's thread, never twice before that was done. g_idle_add(run, argument) does it.
 */
typedef void rota_call_soon_fn(rota_run_fn *run, void *argument, void *userdata);

/*
 * For foreign main loops that Rota has no graft for: a thread of the library's waits for events,
 * and only that; what call_soon arranges handles them, in the owner's thread. The thread has all
 * signals blocked and has ended when the receiver is closed or rota_receiver_detach returns. What
 * was arranged then may still be run, and must be, as it frees itself. Returns 0; -EALREADY; -EBUSY
 * when it is attached; -EMFILE, -EAGAIN, -ENOMEM.
 */
ROTA_API int rota_receiver_handle_in_thread(struct rota_receiver *receiver,
	rota_call_soon_fn *call_soon, void *userdata);

ROTA_API const struct rota_receiver_meter *rota_receiver_meter(const struct rota_receiver
		*receiver);

/* The receiver leaves; NULL does nothing. No handler is called again, its pointer is dead. */
ROTA_API void rota_receiver_close(struct rota_receiver *receiver);

/* Ends the channel for everybody: see above. */
ROTA_API void rota_receiver_close_channel(struct rota_receiver *receiver);

ROTA_END_DECLS

#endif
