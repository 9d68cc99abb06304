/* SPDX-License-Identifier: MIT */
/*
 * proxy_entry.c - who a client is. Its address is that of its connection, or what a PROXY header
 * says, which is required of those proxies that are known, and of nobody else looked for. Where it
 * was going, and what its target is to be told, is settled here too.
 */
#include "proxy.h"

#include <stdlib.h>

static bool
is_proxy(const struct proxy_options *options, const struct rota_address *peer)
{
	size_t i;

	for (i = 0; i < options->proxy_count; i++) {
		if (rota_cidr_contains(&options->proxies[i], peer))
			return true;
	}
	return false;
}

/* Whether one more may come from there (NULL: not known yet). Once for each *ret_source. */
static bool
admit(struct proxy *proxy, const struct rota_address *client, struct rota_source **ret_source)
{
	char text[ROTA_ADDRESS_TEXT];
	char reason[256];
	int r = rota_admission_enter(proxy->admission, client, ret_source);

	if (r >= 0)
		return true;
	program_warn(&proxy->program, "refused %s: %s", client ? proxy_format(client, text) : "-",
		r == -ROTA_ELIMIT ? "its address has as many connections as --max-per-source allows"
				  : program_explain(r, reason, sizeof(reason)));
	return false;
}

/* Where it was going before it was redirected, if that matters. False, told, if that is here. */
static bool
note_original(struct proxy_passage *passage)
{
	struct proxy *proxy = passage->listener->proxy;
	struct rota_address original;
	struct rota_address local;
	char text[ROTA_ADDRESS_TEXT];
	char reason[256];
	int r;

	if (!proxy->options->original)
		return true;
	r = rota_stream_original(passage->client, &original);
	if (r >= 0)
		r = rota_stream_local(passage->client, &local);
	if (r < 0 || rota_address_is_equal(&original, &local)) {
		program_warn(&proxy->program, "refused %s: it was not redirected, it came here%s%s",
			proxy_name_format(&passage->client_name, text), r < 0 ? ": " : "",
			r < 0 ? program_explain(r, reason, sizeof(reason)) : "");
		return false;
	}
	proxy_name_set(&passage->original, &original);
	return true;
}

/* Makes the target's header of the client's own, or of its connection. False without memory. */
static bool
make_header(struct proxy_passage *passage, const struct rota_proxy_header *header)
{
	int version = passage->listener->proxy->options->send_proxy;
	struct rota_proxy_header own = { .is_local = false };
	ssize_t len;

	if (version == 0)
		return true;
	passage->header = malloc(sizeof(*passage->header));
	if (!passage->header)
		return false;
	if (!header || header->is_local) {
		own.is_local = rota_stream_peer(passage->client, &own.source) < 0 ||
			rota_stream_local(passage->client, &own.destination) < 0;
		if (passage->original.family != AF_UNSPEC)
			proxy_name_get(&passage->original, &own.destination);
		header = &own;
	}
	len = rota_proxy_format(version, header, passage->header->bytes, ROTA_PROXY_BYTES);
	passage->header->len = len > 0 ? (size_t)len : 0;
	return len > 0;
}

static void
on_header(struct rota_stream *client, const struct rota_proxy_header *header, void *userdata)
{
	struct proxy_passage *passage = userdata;
	struct proxy *proxy = passage->listener->proxy;

	if (!header->is_local) {
		rota_admission_leave(proxy->admission, passage->source);
		passage->source = NULL;
		proxy_name_clear(&passage->client_name);
		proxy_name_set(&passage->client_name, &header->source);
		if (!admit(proxy, &header->source, &passage->source)) {
			rota_stream_abort(client);
			return;
		}
	}
	if (make_header(passage, header))
		proxy_passage_route(passage);
	else
		rota_stream_abort(client);
}

void
proxy_enter(struct proxy_listener *listener, struct rota_stream *client)
{
	struct proxy *proxy = listener->proxy;
	struct rota_source *source = NULL;
	struct proxy_passage *passage;
	struct rota_address peer;
	bool waits;

	/* Without a peer it is gone already, and was none. */
	if (rota_stream_peer(client, &peer) < 0)
		goto refuse;
	waits = is_proxy(proxy->options, &peer);
	if (!admit(proxy, waits ? NULL : &peer, &source))
		goto refuse;
	passage = proxy_passage_new(listener, client);
	if (!passage) {
		rota_admission_leave(proxy->admission, source);
		goto refuse;
	}
	passage->source = source;
	proxy_name_set(&passage->client_name, &peer);
	if (!note_original(passage))
		goto refuse;
	if (waits && rota_proxy_receive(client, on_header, passage) >= 0)
		return;
	if (!waits && make_header(passage, NULL)) {
		proxy_passage_route(passage);
		return;
	}
refuse:
	/* A passage that there is ends with it. */
	rota_stream_abort(client);
}
