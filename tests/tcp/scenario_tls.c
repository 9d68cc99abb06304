/* SPDX-License-Identifier: MIT */
/*
 * TLS under scenarios: see scenario_tls.h.
 */
#include "scenario_tls.h"

#include "tls_line.h"

static struct rota_tls_config *server;
static struct rota_tls_config *client;

void
scenario_tls_open(void)
{
	/* One that failed has left its own. */
	scenario_tls_close();
	server = tls_line_config(false);
	client = tls_line_config(true);
}

void
scenario_tls_close(void)
{
	rota_tls_config_unref(server);
	rota_tls_config_unref(client);
	server = client = NULL;
}

void
scenario_tls_prepare(struct rota_stream_options *options, bool is_server)
{
	options->tls = is_server ? server : client;
	if (!is_server)
		options->tls_name = "server.example";
}
