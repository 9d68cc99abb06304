/* SPDX-License-Identifier: MIT */
/*
 * kv_channels.c - SUBSCRIBE, UNSUBSCRIBE and PUBLISH. Channels are in a tree, by name, as long as
 * they have subscribers; a subscription is in two lists, its channel's and its client's.
 *
 * A subscriber is sent what is published as long as its output has room. When it has not, because
 * it reads more slowly than others publish, it is cut off: neither they nor the others wait for it.
 */
#include "kv.h"

#include <errno.h>
#include <search.h>
#include <string.h>

struct kv_channel {
	struct kv_text name;
	struct kv_subscription *subscriptions;
	char bytes[];
};

struct kv_subscription {
	struct kv_channel *channel;
	struct kv_client *client;
	/* Each next one, and what leads to this one. */
	struct kv_subscription *next_of_channel;
	struct kv_subscription **link_of_channel;
	struct kv_subscription *next_of_client;
	struct kv_subscription **link_of_client;
};

static int
compare(const void *a, const void *b)
{
	const struct kv_channel *one = a;
	const struct kv_channel *other = b;

	if (one->name.len != other->name.len)
		return one->name.len < other->name.len ? -1 : 1;
	return memcmp(one->name.bytes, other->name.bytes, one->name.len);
}

static struct kv_channel *
channel_find(struct kv_server *server, const struct kv_text *name)
{
	const struct kv_channel wanted = { .name = *name };
	struct kv_channel **found = tfind(&wanted, &server->channels, compare);

	return found ? *found : NULL;
}

static struct kv_channel *
channel_new(struct kv_server *server, const struct kv_text *name)
{
	const size_t size = sizeof(struct kv_channel) + name->len;
	struct kv_channel *channel = kv_store_malloc(&server->store, size);

	if (!channel)
		return NULL;
	memcpy(channel->bytes, name->bytes, name->len);
	channel->name = (struct kv_text){ channel->bytes, name->len };
	channel->subscriptions = NULL;
	if (!tsearch(channel, &server->channels, compare)) {
		kv_store_free_block(&server->store, channel, size);
		return NULL;
	}
	server->channel_count++;
	return channel;
}

static void
channel_free_if_unused(struct kv_server *server, struct kv_channel *channel)
{
	if (channel->subscriptions)
		return;
	tdelete(channel, &server->channels, compare);
	server->channel_count--;
	kv_store_free_block(&server->store, channel, sizeof(*channel) + channel->name.len);
}

static struct kv_subscription *
subscription_find(const struct kv_client *client, const struct kv_channel *channel)
{
	struct kv_subscription *subscription = client->subscriptions;

	while (subscription && subscription->channel != channel)
		subscription = subscription->next_of_client;
	return subscription;
}

static int
subscription_new(struct kv_client *client, struct kv_channel *channel)
{
	struct kv_subscription *subscription =
		kv_store_malloc(&client->server->store, sizeof(*subscription));

	if (!subscription)
		return -ENOMEM;
	*subscription = (struct kv_subscription){
		.channel = channel,
		.client = client,
		.next_of_channel = channel->subscriptions,
		.link_of_channel = &channel->subscriptions,
		.next_of_client = client->subscriptions,
		.link_of_client = &client->subscriptions,
	};
	if (channel->subscriptions)
		channel->subscriptions->link_of_channel = &subscription->next_of_channel;
	if (client->subscriptions)
		client->subscriptions->link_of_client = &subscription->next_of_client;
	channel->subscriptions = subscription;
	client->subscriptions = subscription;
	client->subscribed++;
	return 0;
}

static void
subscription_free(struct kv_subscription *subscription)
{
	struct kv_channel *channel = subscription->channel;
	struct kv_client *client = subscription->client;

	*subscription->link_of_channel = subscription->next_of_channel;
	if (subscription->next_of_channel)
		subscription->next_of_channel->link_of_channel = subscription->link_of_channel;
	*subscription->link_of_client = subscription->next_of_client;
	if (subscription->next_of_client)
		subscription->next_of_client->link_of_client = subscription->link_of_client;
	client->subscribed--;
	kv_store_free_block(&client->server->store, subscription, sizeof(*subscription));
	channel_free_if_unused(client->server, channel);
}

static int
subscribe(struct kv_client *client, const struct kv_text *name)
{
	struct kv_channel *channel = channel_find(client->server, name);
	int r;

	if (channel && subscription_find(client, channel))
		return 0;
	if (client->subscribed == KV_SUBSCRIPTIONS)
		return -EMLINK;
	if (!channel)
		channel = channel_new(client->server, name);
	if (!channel)
		return -ENOMEM;
	r = subscription_new(client, channel);
	if (r < 0)
		channel_free_if_unused(client->server, channel);
	return r;
}

/* What happened, with which channel (NULL: with none), and how many the client has now. */
static void
tell(struct kv_request *request, const char *what, const struct kv_text *name)
{
	kv_reply_array(request->reply, 3);
	kv_reply_word(request->reply, what);
	if (name)
		kv_reply_bulk(request->reply, name->bytes, name->len);
	else
		kv_reply_null(request->reply);
	kv_reply_integer(request->reply, (int64_t)request->client->subscribed);
}

void
kv_subscribe_command(struct kv_request *request)
{
	size_t i;

	for (i = 1; i < request->count; i++) {
		int r = subscribe(request->client, &request->words[i]);

		if (r == 0)
			tell(request, "subscribe", &request->words[i]);
		else if (r == -ENOMEM)
			kv_out_of_memory(request);
		else
			kv_reply_error(request->reply,
				"ERR no more than %d channels for one client", KV_SUBSCRIPTIONS);
	}
}

static void
unsubscribe(struct kv_request *request, const struct kv_text *name)
{
	struct kv_channel *channel = channel_find(request->server, name);
	struct kv_subscription *subscription =
		channel ? subscription_find(request->client, channel) : NULL;

	if (subscription)
		subscription_free(subscription);
	tell(request, "unsubscribe", name);
}

/* The name is needed until it has been told, so the channel goes afterwards. */
static void
unsubscribe_first(struct kv_request *request)
{
	struct kv_subscription *subscription = request->client->subscriptions;

	request->client->subscribed--;
	tell(request, "unsubscribe", &subscription->channel->name);
	request->client->subscribed++;
	subscription_free(subscription);
}

void
kv_unsubscribe_command(struct kv_request *request)
{
	size_t i;

	for (i = 1; i < request->count; i++)
		unsubscribe(request, &request->words[i]);
	if (request->count > 1)
		return;
	if (!request->client->subscriptions)
		tell(request, "unsubscribe", NULL);
	while (request->client->subscriptions)
		unsubscribe_first(request);
}

void
kv_unsubscribe_all(struct kv_client *client)
{
	while (client->subscriptions)
		subscription_free(client->subscriptions);
}

static void
cut_off(struct kv_client *client)
{
	struct rota_stream *stream = rota_session_stream(client->session);

	client->server->counts.slow++;
	program_warn(&client->server->program,
		"client %llu was cut off: it reads what is published too slowly, %zu bytes wait",
		(unsigned long long)client->id, rota_stream_unsent(stream));
	rota_session_abort(client->session);
}

/* Returns how many got it. Those that are cut off stay in the list until their on_close. */
static int64_t
send_all(const struct kv_channel *channel, const struct kv_reply *message)
{
	struct kv_subscription *subscription;
	int64_t count = 0;

	for (subscription = channel->subscriptions; subscription;
		subscription = subscription->next_of_channel) {
		int r = rota_dialog_notify(subscription->client->session, message->bytes,
			message->len);

		if (r == 0)
			count++;
		else if (r != -ENOTCONN)
			cut_off(subscription->client);
	}
	return count;
}

void
kv_publish_command(struct kv_request *request)
{
	struct kv_channel *channel = channel_find(request->server, &request->words[1]);
	struct kv_reply *message = request->reply;
	int64_t count = 0;

	if (channel) {
		kv_reply_array(message, 3);
		kv_reply_word(message, "message");
		kv_reply_bulk(message, request->words[1].bytes, request->words[1].len);
		kv_reply_bulk(message, request->words[2].bytes, request->words[2].len);
		if (!message->failed)
			count = send_all(channel, message);
		kv_reply_clear(message);
	}
	request->server->counts.published += (uint64_t)count;
	kv_reply_integer(request->reply, count);
}
