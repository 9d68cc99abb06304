/* SPDX-License-Identifier: MIT */
/*
 * proxy.h - the parts of rota-proxy, and what they share.
 *
 *   rota-proxy.c      the life of the process: listeners, drain
 *   proxy_options.c   the command line
 *   proxy_entry.c     who a client is: limits, PROXY headers
 *   proxy_passage.c   one connection, from there to its line in the log
 *   proxy_targets.c   which target a connection goes to
 *   proxy_tls.c       TLS on either side: files, reload, what handshakes agreed on
 *   proxy_log.c       lines on stdout, written once a turn
 *   proxy_takeover.c  listening sockets that come from elsewhere, and go on to others
 *   proxy_name.c      addresses kept in 24 bytes
 *   proxy_processes.c  several processes, and their sums
 *   proxy_control.c   who may ask at --control, and which commands there are
 *   proxy_show.c      what "show" answers
 *   proxy_ctl.c       rota-proxy ctl, which asks
 *
 * One thread, one context. What lives as long as the process is in struct proxy; what lives as long
 * as a connection is in struct proxy_passage, which is kept small, for there may be many.
 */
#ifndef EXAMPLES_PROXY_H
#define EXAMPLES_PROXY_H

#include "program_prefork.h"
#include "program_tls.h"

#include <rota/handover.h>
#include <rota/systemd.h>

#include <stdio.h>
#include <time.h>

#define PROXY_NAME "rota-proxy"
#define PROXY_LISTENERS 32
#define PROXY_NETWORKS 64
#define PROXY_TARGETS 64 /* as many as struct proxy_passage has bits in tried */
#define PROXY_NO_TARGET PROXY_TARGETS

/* What the command line says. */

struct proxy_options {
	struct rota_address listens[PROXY_LISTENERS];
	size_t listen_count;
	struct rota_address targets[PROXY_TARGETS];
	const char *target_names[PROXY_TARGETS]; /* NAME:PORT in the place of an address, or NULL */
	size_t target_count;
	bool original; /* --target original: where each connection was going; no targets */
	bool failover; /* the first target that takes it; otherwise each in its turn */
	struct rota_stream_options streams; /* on both sides */
	rota_time drain;
	struct rota_admission_options admission;
	struct rota_cidr
		proxies[PROXY_NETWORKS]; /* whose PROXY headers are required, and believed */
	size_t proxy_count;
	struct program_tls tls;        /* of the clients' side; without certificates: none */
	struct program_tls target_tls; /* of the targets' side */
	bool has_target_tls;
	const char *target_name; /* that their certificates must have; NULL: their addresses */
	int send_proxy;          /* the version of the PROXY header sent to targets; 0: none */
	const char *control;     /* NULL: none */
	const char *takeover;    /* NULL: none */
	uint64_t processes;      /* 0: this one alone */
};

/* Returns 0, or PROGRAM_MISUSED after saying why. */
int proxy_read_options(struct proxy_options *options, int argc, char **argv);

/* The log: see proxy_log.c. */

struct proxy_log {
	struct rota_target target; /* started while it takes nothing, to go on when it does */
	bool has_reader;           /* whom it may have to wait for; a file has none */
	uint64_t lost;             /* lines that found no room */
	size_t start;              /* what is written already */
	size_t used;
	time_t second; /* that clock tells */
	char clock[24];
	char bytes[4 << 20]; /* what the lines of some ten thousand that end at once take */
};

struct proxy_passage;

void proxy_log_init(struct proxy_log *log, int fd);
void proxy_log_line(struct proxy_log *log, const char *line, size_t len);
/* Writes what can be written now; a turn comes when there can be more. */
void proxy_log_turn(struct proxy_log *log, struct rota_context *ctx);
/* Writes what can be written without waiting longer than timeout for its reader. */
void proxy_log_flush(struct proxy_log *log, rota_time timeout);
/* The line of a passage that is over. */
void proxy_log_passage(const struct proxy_passage *passage, const struct rota_relay_result *result);

/* An address as a passage keeps it. All zero: none. */

struct proxy_name {
	union {
		struct in_addr in;
		struct in6_addr in6;
		struct rota_address *un;
	} host;
	uint32_t scope;
	uint16_t family;
	in_port_t port; /* as in a sockaddr */
};

void proxy_name_set(struct proxy_name *name, const struct rota_address *address);
void proxy_name_get(const struct proxy_name *name, struct rota_address *ret_address);
void proxy_name_clear(struct proxy_name *name);
/* Writes it as one word into a buffer of ROTA_ADDRESS_TEXT bytes. Returns buffer. */
const char *proxy_name_format(const struct proxy_name *name, char *buffer);
/* The same for an address, whose blanks and quotes are written as \xHH. */
const char *proxy_format(const struct rota_address *address, char *buffer);

/* Targets */

struct proxy_target {
	struct rota_address address;
	const char *host; /* NAME:PORT, looked up for each connection; NULL: the address is used */
	char name[ROTA_ADDRESS_TEXT]; /* the address as one word, or "original" */
	rota_time backoff; /* 0: it takes connections; otherwise how long it is skipped */
	rota_time until;   /* when one connection may try it again */
	bool is_tried;     /* and that one is on its way */
	size_t connections;
	uint64_t connected; /* all told */
	uint64_t failed;
};

struct proxy_targets {
	struct proxy_target all[PROXY_TARGETS];
	size_t count;
	size_t next; /* of round robin */
	bool failover;
};

struct proxy;

void proxy_targets_init(struct proxy_targets *targets, const struct proxy_options *options);

/*
 * Chooses the passage's next target, none of those it has tried, and notes it there. Those that are
 * skipped come last. Returns how long it may take to connect, within the passage's own time, or 0
 * when there is no target, or no time, left.
 */
rota_time proxy_targets_choose(struct proxy_targets *targets, struct proxy_passage *passage,
	rota_time left, rota_time now);

/*
 * The passage's target has taken it, has failed with an error, or was left, before or after that it
 * took it. Failed returns whether another target may do better.
 */
void proxy_target_connected(struct proxy *proxy, struct proxy_passage *passage);
bool proxy_target_failed(struct proxy *proxy, struct proxy_passage *passage, int error);
void proxy_target_left(struct proxy *proxy, struct proxy_passage *passage);

/* Passages */

struct proxy_listener {
	struct proxy *proxy;
	struct rota_listener *listener; /* NULL once closed */
	char name[ROTA_ADDRESS_TEXT];   /* its address as one word, with the port that it got */
};

/* The header of the PROXY protocol that a target gets. */
struct proxy_header {
	size_t len;
	char bytes[ROTA_PROXY_BYTES];
};

struct proxy_passage {
	struct proxy_passage *next;
	struct proxy_passage **link; /* what points to this passage */
	struct proxy_listener *listener;
	struct rota_relay *relay; /* NULL before the target is connected */
	struct rota_stream
		*client; /* NULL once it is over; both are the relay's, if there is one */
	struct rota_stream *server;
	struct rota_source *source; /* as which it was admitted */
	uint64_t id;
	uint64_t tried;        /* a bit for each target */
	rota_time accepted;    /* instants */
	rota_time routed;      /* the first target was chosen */
	uint32_t connect_us;   /* from then until one was connected */
	uint8_t target;        /* PROXY_NO_TARGET before one is chosen */
	bool is_trial : 1;     /* of a target that had been skipped */
	bool is_told : 1;      /* the target has the header, and TLS has begun */
	uint8_t client_reason; /* enum rota_reason, of an end before there was a relay */
	uint8_t server_reason;
	int client_error;
	int server_error;
	char *tls;                   /* proxy_tls.c's; NULL: nothing, yet */
	struct proxy_header *header; /* to be sent first; NULL: none, or it has been */
	struct proxy_name client_name;
	struct proxy_name original; /* where it was going, for --target original */
};

/* TLS: see proxy_tls.c. */

struct proxy_tls {
	struct rota_tls_config *clients; /* NULL: none */
	struct rota_tls_config *targets;
	struct rota_signal hangup;
};

/* Reads the files, now and at SIGHUP. Returns 0, or PROGRAM_FAILED after saying why not. */
int proxy_tls_open(struct proxy *proxy);
void proxy_tls_close(struct proxy *proxy);
/* Begins TLS on a stream to the passage's target. As rota_stream_start_tls. */
int proxy_tls_start(struct proxy_passage *passage, struct rota_stream *server);
/* Keeps what the handshake on one side agreed on, or why it failed. */
void proxy_tls_note(struct proxy_passage *passage, const struct rota_stream *stream,
	const char *prefix);
void proxy_tls_note_problem(struct proxy_passage *passage, const struct rota_close_info *why);
/* What is kept, "" if nothing: both sides' words of program_tls_facts; a problem, as a word. */
const char *proxy_tls_words(const struct proxy_passage *passage);
const char *proxy_tls_problem(const struct proxy_passage *passage);

/* A client has come: finds out who it is, then makes it a passage on its way, or cuts it off. */
void proxy_enter(struct proxy_listener *listener, struct rota_stream *client);

/* A passage without a target. NULL when there is no memory. */
struct proxy_passage *proxy_passage_new(struct proxy_listener *listener,
	struct rota_stream *client);
/* Tries the targets, once the client's TLS, if it has any, is there. */
void proxy_passage_route(struct proxy_passage *passage);
/* Resets both sides. */
void proxy_passage_abort(struct proxy_passage *passage);
/* The address of its target as one word, in a buffer of ROTA_ADDRESS_TEXT bytes or elsewhere. */
const char *proxy_passage_target(const struct proxy_passage *passage, char *buffer);

/* Control */

/* Begins to serve --control. Returns 0, or PROGRAM_FAILED after saying why not. */
int proxy_control_open(struct proxy *proxy);

/* The socket at a path. Returns 0, -ENOENT when it is empty, or -ENAMETOOLONG. */
int proxy_control_address(const char *path, struct rota_address *ret_address);
/* The answer to "show what form". */
void proxy_show(struct proxy *proxy, const char *what, const char *form, FILE *out);

/*
 * The directory of the path that an option gives must not let anybody else in. Returns 0, or
 * PROGRAM_FAILED after saying so.
 */
int proxy_check_directory(struct program *program, const char *option, const char *path);

/* rota-proxy ctl: the arguments after it. Returns an exit status. */
int proxy_ctl(int argc, char **argv);

/*
 * Taking over: asks the process that serves, if there is one, and systemd, for their listening
 * sockets; says what to listen on for an address that is wanted, and next which of systemd's nobody
 * wanted; from serve on the old process drains, and this one can be taken over itself. Returns 0,
 * or PROGRAM_FAILED after saying why not.
 */
int proxy_takeover_begin(struct proxy *proxy);
int proxy_systemd_begin(struct proxy *proxy);
struct rota_address proxy_takeover_address(struct proxy *proxy, const struct rota_address *wanted);
bool proxy_systemd_next(struct proxy *proxy, struct rota_address *ret_address);
int proxy_takeover_serve(struct proxy *proxy);
/* It drains: nobody can take over any more, unless it drains because somebody did. */
void proxy_takeover_drain(struct proxy *proxy);
/* Before the context is freed. */
void proxy_takeover_close(struct proxy *proxy);

/* Everything between program_open and the end. Returns an exit status. */
int proxy_run(struct proxy *proxy);

/* Several processes. The same; in the processes by proxy_run. */
int proxy_processes_run(struct proxy *proxy, struct proxy_options *options);
/* In one: before each wait; and when it listens: 0 or a status. */
void proxy_processes_turn(struct proxy *proxy);
int proxy_processes_ready(struct proxy *proxy);
/* In the master: what is shown is made that of all. */
void proxy_processes_refresh(struct proxy *proxy);
void proxy_processes_show(struct proxy *proxy, bool json, FILE *out);

struct proxy {
	struct program program;
	struct rota_process *process; /* NULL: it is the only one, or the master */
	bool is_master;
	const struct proxy_options *options;
	struct proxy_listener listeners[PROXY_LISTENERS];
	size_t listener_count;
	struct rota_listener *control;  /* NULL: none, or closed */
	struct rota_takeover *takeover; /* while it starts in the place of another one */
	struct rota_handover *handover; /* NULL: nobody can take over */
	bool is_taken;
	struct rota_systemd_listener passed[PROXY_LISTENERS]; /* fd -1: it is used */
	size_t passed_count;
	struct proxy_targets targets;
	struct proxy_tls tls;
	struct rota_admission *admission;
	struct proxy_passage *passages;
	size_t passage_count;
	uint64_t last_id;
	bool is_paused; /* the listeners are */
	struct rota_timer pause_timer;
	struct rota_meter meter; /* kept when there is somebody to show it to */
	struct proxy_log log;
};

/*
 * Descriptors or memory for a second stream are short: accepts no more for a moment, or until a
 * passage has ended, so that peers wait in the backlog instead of being cut off one by one.
 */
void proxy_each_listener(struct proxy *proxy, void (*act)(struct rota_listener *listener));
void proxy_pause(struct proxy *proxy);
void proxy_resume(struct proxy *proxy);

#endif
