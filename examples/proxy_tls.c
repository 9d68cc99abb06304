/* SPDX-License-Identifier: MIT */
/*
 * proxy_tls.c - TLS on either side: the configurations, made of files and made again at SIGHUP, and
 * what a passage keeps of its handshakes. A reload takes all of the files or none: until the last
 * of them was found good, nothing has changed.
 */
#include "proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* Both sides' configurations, where there are to be any. Returns 0, or PROGRAM_FAILED and none. */
static int
make_both(const struct proxy *proxy, struct rota_tls_config **ret_clients,
	struct rota_tls_config **ret_targets)
{
	const struct proxy_options *options = proxy->options;
	int status = 0;

	*ret_clients = *ret_targets = NULL;
	if (options->tls.certificate_count > 0)
		status = program_tls_make(PROXY_NAME, &options->tls, ret_clients);
	if (status == 0 && options->has_target_tls)
		status = program_tls_make(PROXY_NAME, &options->target_tls, ret_targets);
	if (status != 0)
		rota_tls_config_unref(*ret_clients);
	return status;
}

/* So that clients resume by the tickets that they have. */
static void
carry_keys(const struct proxy *proxy, struct rota_tls_config *clients)
{
	unsigned char keys[ROTA_TLS_TICKET_KEYS];

	rota_tls_config_get_ticket_keys(proxy->tls.clients, keys);
	(void)rota_tls_config_set_ticket_keys(clients, keys);
	explicit_bzero(keys, sizeof(keys));
}

/* Those that have begun with the old one keep it. */
static void
replace(struct rota_tls_config **config, struct rota_tls_config *by)
{
	rota_tls_config_unref(*config);
	*config = by;
}

/* Whether all of the listeners took it; without memory some may be left with the old one. */
static bool
give_listeners(struct proxy *proxy, struct rota_tls_config *clients)
{
	size_t i;

	for (i = 0; i < proxy->listener_count; i++) {
		struct rota_listener *listener = proxy->listeners[i].listener;

		if (listener && rota_listener_set_tls(listener, clients) < 0)
			return false;
	}
	return true;
}

/* Reads all files again, or else goes on with what there is. */
static void
reload(struct proxy *proxy)
{
	struct rota_tls_config *clients;
	struct rota_tls_config *targets;

	if (make_both(proxy, &clients, &targets) != 0) {
		fprintf(stderr, PROXY_NAME ": TLS goes on with the files that it had\n");
		return;
	}
	if (clients) {
		carry_keys(proxy, clients);
		if (!give_listeners(proxy, clients))
			fprintf(stderr, PROXY_NAME ": out of memory: send SIGHUP once more\n");
	}
	replace(&proxy->tls.clients, clients);
	replace(&proxy->tls.targets, targets);
	fprintf(stderr, PROXY_NAME ": TLS has read its files again\n");
}

static int
on_hangup(struct rota_context *ctx, struct rota_signal *sig, void *userdata)
{
	(void)sig;
	rota_systemd_reloading(ctx);
	reload(userdata);
	rota_systemd_ready(ctx, NULL);
	return 0;
}

int
proxy_tls_open(struct proxy *proxy)
{
	struct proxy_tls *tls = &proxy->tls;
	char reason[256];
	int r;

	if (make_both(proxy, &tls->clients, &tls->targets) != 0)
		return PROGRAM_FAILED;
	/* What has no files to read ends at SIGHUP, as other programs do. */
	if (!tls->clients && !tls->targets)
		return 0;
	r = rota_signal_start(proxy->program.ctx, &tls->hangup, SIGHUP, on_hangup, proxy);
	if (r < 0)
		program_fail(&proxy->program, "cannot start: %s",
			program_explain(r, reason, sizeof(reason)));
	return r < 0 ? PROGRAM_FAILED : 0;
}

void
proxy_tls_close(struct proxy *proxy)
{
	replace(&proxy->tls.clients, NULL);
	replace(&proxy->tls.targets, NULL);
}

/* The numeric address as a name, or NULL. */
static const char *
host_of(const struct rota_address *address, char *buffer, socklen_t size)
{
	switch (address->socket.any.sa_family) {
	case AF_INET:
		return inet_ntop(AF_INET, &address->socket.in.sin_addr, buffer, size);
	case AF_INET6:
		return inet_ntop(AF_INET6, &address->socket.in6.sin6_addr, buffer, size);
	default:
		return NULL;
	}
}

int
proxy_tls_start(struct proxy_passage *passage, struct rota_stream *server)
{
	struct proxy *proxy = passage->listener->proxy;
	const struct proxy_target *target = &proxy->targets.all[passage->target];
	const char *name = proxy->options->target_name;
	char host[ROTA_ADDRESS_TEXT];
	struct rota_address peer;

	if (!name && target->host) {
		snprintf(host, sizeof(host), "%.*s", (int)strcspn(target->host, ":"), target->host);
		name = host;
	} else if (!name && rota_stream_peer(server, &peer) >= 0) {
		name = host_of(&peer, host, sizeof(host));
	}
	return rota_stream_start_tls(server, proxy->tls.targets, ROTA_TLS_CLIENT, name);
}

const char *
proxy_tls_words(const struct proxy_passage *passage)
{
	return passage->tls ? passage->tls : "";
}

const char *
proxy_tls_problem(const struct proxy_passage *passage)
{
	return passage->tls ? passage->tls + strlen(passage->tls) + 1 : "";
}

/* Adds words to those that there are. Without memory the passage's line lacks them. */
static void
keep(struct proxy_passage *passage, const char *more, const char *problem)
{
	const char *words = proxy_tls_words(passage);
	size_t size = strlen(words) + strlen(more) + strlen(problem) + 2;
	char *texts = malloc(size);

	if (!texts)
		return;
	snprintf(texts, size, "%s%s%c%s", words, more, '\0', problem);
	free(passage->tls);
	passage->tls = texts;
}

void
proxy_tls_note(struct proxy_passage *passage, const struct rota_stream *stream, const char *prefix)
{
	char words[PROGRAM_TLS_FACTS];

	if (program_tls_facts(stream, prefix, words)[0] != '\0')
		keep(passage, words, "");
}

void
proxy_tls_note_problem(struct proxy_passage *passage, const struct rota_close_info *why)
{
	const char *text = strstr(why->text, ": "); /* behind "tls while handshake" */
	char word[256];

	if (why->reason != ROTA_REASON_TLS)
		return;
	program_tls_word(text ? text + 2 : why->text, word, sizeof(word));
	keep(passage, "", word);
}
