/* SPDX-License-Identifier: MIT */
/*
 * proxy_show.c - what "show" answers: tables for people, JSON for programs. Addresses are what peers
 * chose, and are escaped.
 */
#include "proxy.h"

#include <stdlib.h>
#include <string.h>

enum proxy_form { PROXY_TEXT, PROXY_JSON, PROXY_OPENMETRICS };

/* A string of JSON. What does not print is escaped already, by a backslash. */
static void
put_string(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++)
		fprintf(out, *text == '\\' ? "\\%c" : "%c", *text);
	fputc('"', out);
}

static void
put_member(FILE *out, const char *name, const char *text)
{
	fprintf(out, "\"%s\":", name);
	put_string(out, text);
	fputc(',', out);
}

static const char *
passage_state(const struct proxy_passage *passage)
{
	if (passage->relay)
		return "open";
	if (passage->routed == 0)
		return "waiting"; /* for its PROXY header, or its handshake */
	return passage->server ? "connecting" : "ending";
}

/* Each as a member; what follows it is one, too. */
static void
put_words(FILE *out, const char *words)
{
	char *copy = strdup(words);
	char *rest;

	if (!copy)
		return;
	for (char *name = strtok_r(copy, " ", &rest); name; name = strtok_r(NULL, " ", &rest)) {
		char *value = strchr(name, '=');

		*value++ = '\0';
		if (strstr(name, "resumed"))
			fprintf(out, "\"%s\":%s,", name, value[0] == 'y' ? "true" : "false");
		else
			put_member(out, name, value);
	}
	free(copy);
}

static void
show_connections(struct proxy *proxy, enum proxy_form form, FILE *out)
{
	bool json = form == PROXY_JSON;
	bool has_tls = proxy->tls.clients || proxy->tls.targets;
	rota_time now = rota_context_now(proxy->program.ctx);
	char client[ROTA_ADDRESS_TEXT], buffer[ROTA_ADDRESS_TEXT];
	const struct proxy_passage *passage;

	fprintf(out, json ? "{\"connections\":[" : "%8s %-21s %-21s %-21s %-10s %12s %12s %10s%s\n",
		"ID", "CLIENT", "LISTEN", "TARGET", "STATE", "RECEIVED", "SENT", "SECONDS",
		has_tls ? " TLS" : "");
	for (passage = proxy->passages; passage; passage = passage->next) {
		struct rota_relay_result counts = { .spliced = false };
		const char *target = proxy_passage_target(passage, buffer);
		const char *listen = passage->listener->name;
		double age = (double)(now - passage->accepted) / ROTA_SECOND;

		if (passage->relay)
			rota_relay_progress(passage->relay, &counts);
		proxy_name_format(&passage->client_name, client);
		if (!json) {
			fprintf(out, "%8llu %-21s %-21s %-21s %-10s %12llu %12llu %10.3f%s\n",
				(unsigned long long)passage->id, client, listen, target,
				passage_state(passage), (unsigned long long)counts.a.received,
				(unsigned long long)counts.a.sent, age, proxy_tls_words(passage));
			continue;
		}
		fprintf(out, "%s{\"id\":%llu,", passage == proxy->passages ? "" : ",",
			(unsigned long long)passage->id);
		put_member(out, "client", client);
		put_member(out, "listen", listen);
		put_member(out, "target", target);
		put_member(out, "state", passage_state(passage));
		put_words(out, proxy_tls_words(passage));
		fprintf(out, "\"received\":%llu,\"sent\":%llu,\"seconds\":%.3f}",
			(unsigned long long)counts.a.received, (unsigned long long)counts.a.sent,
			age);
	}
	if (json)
		fprintf(out, "]}\n");
}

static void
show_targets(struct proxy *proxy, enum proxy_form form, FILE *out)
{
	bool json = form == PROXY_JSON;
	rota_time now = rota_context_now(proxy->program.ctx);
	size_t i;

	fprintf(out, json ? "{\"targets\":[" : "%-21s %-8s %12s %12s %12s\n", "TARGET", "STATE",
		"CONNECTIONS", "CONNECTED", "FAILED");
	for (i = 0; i < proxy->targets.count; i++) {
		const struct proxy_target *target = &proxy->targets.all[i];
		const char *state = target->backoff == 0 ? "up"
			: now < target->until            ? "skipped"
							 : "due";

		if (!json) {
			fprintf(out, "%-21s %-8s %12zu %12llu %12llu\n", target->name, state,
				target->connections, (unsigned long long)target->connected,
				(unsigned long long)target->failed);
			continue;
		}
		fprintf(out, "%s{", i == 0 ? "" : ",");
		put_member(out, "target", target->name);
		put_member(out, "state", state);
		fprintf(out, "\"connections\":%zu,\"connected\":%llu,\"failed\":%llu}",
			target->connections, (unsigned long long)target->connected,
			(unsigned long long)target->failed);
	}
	if (json)
		fprintf(out, "]}\n");
}

static void
show_meter(struct proxy *proxy, enum proxy_form form, FILE *out)
{
	static const enum rota_meter_format formats[] = {
		[PROXY_TEXT] = ROTA_METER_TEXT,
		[PROXY_JSON] = ROTA_METER_JSON,
		[PROXY_OPENMETRICS] = ROTA_METER_OPENMETRICS,
	};
	size_t size = rota_meter_format(&proxy->meter, formats[form], NULL, 0) + 1;
	char *text = malloc(size);

	if (!text)
		return;
	rota_meter_format(&proxy->meter, formats[form], text, size);
	fputs(text, out);
	free(text);
}

static void
show_processes(struct proxy *proxy, enum proxy_form form, FILE *out)
{
	proxy_processes_show(proxy, form == PROXY_JSON, out);
}

static const struct {
	const char *what;
	void (*show)(struct proxy *proxy, enum proxy_form form, FILE *out);
	enum proxy_form last; /* of the forms that it has */
} views[] = {
	{ "connections", show_connections, PROXY_JSON },
	{ "targets", show_targets, PROXY_JSON },
	{ "meter", show_meter, PROXY_OPENMETRICS },
	{ "processes", show_processes, PROXY_JSON },
};

void
proxy_show(struct proxy *proxy, const char *what, const char *form, FILE *out)
{
	static const char *const forms[] = { "text", "json", "openmetrics" };
	enum proxy_form f = PROXY_TEXT;
	size_t i;

	if (proxy->is_master && strcmp(what, "connections") == 0) {
		fprintf(out,
			"error each process has connections of its own: ask at %s.PROCESS, and here "
			"which there are (show processes)\n",
			proxy->options->control);
		return;
	}
	if (proxy->is_master)
		proxy_processes_refresh(proxy);
	while (f <= PROXY_OPENMETRICS && strcmp(form, forms[f]) != 0)
		f++;
	for (i = 0; i < sizeof(views) / sizeof(views[0]); i++) {
		if (strcmp(what, views[i].what) != 0 || f > views[i].last)
			continue;
		fprintf(out, "ok\n");
		views[i].show(proxy, f, out);
		return;
	}
	fprintf(out,
		"error there is no '%s' to show as %s: connections, targets, meter and processes are, as "
		"text or json, and meter as openmetrics\n",
		what, form);
}
