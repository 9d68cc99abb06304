/* SPDX-License-Identifier: MIT */
/*
 * kv.h - the parts of rota-kv: keys and values in memory, and channels, for redis' clients. A whole
 * server on rota_serve:
 *
 *   kv_resp.c, kv_reply.c  what comes becomes commands, and what is answered bytes
 *   kv_commands.c          which commands there are, and who does them
 *   kv_session.c, kv_strings.c, kv_keys.c, kv_channels.c, kv_info.c  they do
 *   kv_store.c, kv_key.c   keys and values, within a limit
 *   kv_server.c            the service: sessions, limits, the end
 *   rota-kv.c              the command line
 *
 * Every command is answered before the next is looked at, so answers are in order and there is
 * nothing to wait for.
 */
#ifndef EXAMPLES_KV_H
#define EXAMPLES_KV_H

#include <rota/servicemodel.h>

#include "kv_resp.h"
#include "kv_store.h"
#include "program_tls.h"

#define KV_NAME "rota-kv"
#define KV_LISTENERS 16
/* Channels that one client may subscribe to. */
#define KV_SUBSCRIPTIONS 1024

struct kv_options {
	struct rota_address addresses[KV_LISTENERS];
	size_t count;
	uint64_t memory;  /* bytes of keys and values */
	uint64_t clients; /* at once, if there are descriptors for them */
	uint64_t command; /* bytes of the longest one */
	struct program_tls tls;
};

struct kv_counts {
	uint64_t commands;
	uint64_t hits; /* of keys that were asked for */
	uint64_t misses;
	uint64_t published; /* messages that subscribers got */
	uint64_t slow;      /* subscribers that were cut off */
	uint64_t refused;   /* clients, as there were too many */
};

struct kv_subscription;

struct kv_server {
	struct program program;
	const struct kv_options *options;
	struct rota_dialog dialog;
	struct rota_service *service;
	rota_time started;
	uint64_t clients; /* now */
	uint64_t max_clients;
	struct kv_store store;
	void *channels; /* tsearch(3)'s */
	size_t channel_count;
	struct kv_counts counts;
	uint64_t last_id;
	/* What is being answered, and with what; kept, so that an answer allocates nothing. */
	struct kv_words words;
	struct kv_reply reply;
	struct kv_fault fault;
};

/* A session's bytes. */
struct kv_client {
	struct kv_server *server; /* NULL unless it was let in */
	struct rota_session *session;
	uint64_t id;
	struct kv_subscription *subscriptions;
	size_t subscribed;
};

/* Whose command is done by these functions; its words, the name included; where the answer goes. */
struct kv_request {
	struct kv_server *server;
	struct kv_client *client;
	const struct kv_text *words;
	size_t count;
	struct kv_reply *reply;
	const char *name; /* "get" */
	bool quits;       /* the client's connection is closed behind the answer */
};

typedef void kv_command_fn(struct kv_request *request);

/* A command. count is how many words it has with its name, or, below 0, how many at least. */
struct kv_command {
	const char *name;
	int count;
	bool when_subscribed; /* a subscriber may say it too */
	kv_command_fn *run;
};

extern const struct kv_command kv_commands[];
extern const size_t kv_command_count;

/* Sets up how names are found, once; does what a request says, or answers why not. */
void kv_commands_init(void);
void kv_run(struct kv_request *request);

/* How much of a word an answer may have, for %.*s. */
int kv_shown(const struct kv_text *word);

/* A word that should be a number, and answers that are said in several places. */
bool kv_number(struct kv_request *request, size_t word, int64_t *ret_number);
void kv_syntax_error(struct kv_request *request);
void kv_wrong_count(struct kv_request *request, const char *subcommand);
void kv_no_subcommand(struct kv_request *request);
void kv_out_of_memory(struct kv_request *request);

/*
 * A time to live in word, in units: above 0 is all that makes sense, unless it may be over.
 * Otherwise it is answered why it is none, and this returns false.
 */
bool kv_duration(struct kv_request *request, size_t word, rota_time unit, bool may_be_over,
	rota_time *ret_duration);

/* Looks a key up for a client who wants to know, and counts whether it was there. */
struct kv_entry *kv_lookup(struct kv_request *request, const struct kv_text *key);

kv_command_fn kv_client_command;
kv_command_fn kv_command_command;
kv_command_fn kv_config_command;
kv_command_fn kv_dbsize_command;
kv_command_fn kv_decr_command;
kv_command_fn kv_decrby_command;
kv_command_fn kv_del_command;
kv_command_fn kv_echo_command;
kv_command_fn kv_exists_command;
kv_command_fn kv_expire_command;
kv_command_fn kv_flushall_command;
kv_command_fn kv_get_command;
kv_command_fn kv_hello_command;
kv_command_fn kv_incr_command;
kv_command_fn kv_incrby_command;
kv_command_fn kv_info_command;
kv_command_fn kv_mget_command;
kv_command_fn kv_mset_command;
kv_command_fn kv_persist_command;
kv_command_fn kv_pexpire_command;
kv_command_fn kv_ping_command;
kv_command_fn kv_pttl_command;
kv_command_fn kv_publish_command;
kv_command_fn kv_quit_command;
kv_command_fn kv_select_command;
kv_command_fn kv_set_command;
kv_command_fn kv_subscribe_command;
kv_command_fn kv_ttl_command;
kv_command_fn kv_unsubscribe_command;

/* A client is gone, and with it what it subscribed to. */
void kv_unsubscribe_all(struct kv_client *client);

/* Serves until it is told to end. Returns the program's exit status. */
int kv_serve(const struct kv_options *options);

#endif
