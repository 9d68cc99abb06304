/* SPDX-License-Identifier: MIT */
/*
 * TLS under both ends of a scenario: for each run a server's and a client's configuration, which
 * are there from before the first fault to behind the last.
 */
#ifndef ROTA_TESTS_SCENARIO_TLS_H
#define ROTA_TESTS_SCENARIO_TLS_H

#include <rota/stream.h>

void scenario_tls_open(void);
void scenario_tls_close(void);
void scenario_tls_prepare(struct rota_stream_options *options, bool is_server);

#endif
