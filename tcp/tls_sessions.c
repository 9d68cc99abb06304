/* SPDX-License-Identifier: MIT */
/*
 * What clients resume by: the last sessions, by the name that was connected to. One of TLS 1.3 is
 * used once (RFC 8446, C.4), so there may be several for a name; beyond the limit the oldest goes.
 */
#include <string.h>

#include "allocator.h"
#include "tls_config.h"

struct rota__tls_session {
	SSL_SESSION *session;
	char name[];
};

static void
dispose(struct rota__tls_session *kept)
{
	if (kept == NULL)
		return;
	SSL_SESSION_free(kept->session);
	rota__free(kept);
}

/* The newest is the first. */
static struct rota__tls_session *
push(struct rota_tls_config *config, struct rota__tls_session *kept)
{
	struct rota__tls_session **sessions = config->sessions;
	struct rota__tls_session *oldest = sessions[ROTA__TLS_SESSIONS - 1];

	memmove(sessions + 1, sessions,
		(ROTA__TLS_SESSIONS - 1) * sizeof(struct rota__tls_session *));
	sessions[0] = kept;
	return oldest;
}

int
rota__tls_session_new(SSL *ssl, SSL_SESSION *session)
{
	struct rota__tls *tls = rota__tls_of_ssl(ssl);
	struct rota__tls_session *kept;
	struct rota__tls_session *oldest;
	size_t size;

	if (tls->name == NULL)
		return 0;
	size = strlen(tls->name) + 1;
	kept = rota__malloc(sizeof *kept + size);
	if (kept == NULL)
		return 0; /* the next connection has a full handshake */
	kept->session = session;
	memcpy(kept->name, tls->name, size);
	pthread_mutex_lock(&tls->config->lock);
	oldest = push(tls->config, kept);
	pthread_mutex_unlock(&tls->config->lock);
	dispose(oldest);
	return 1;
}

static struct rota__tls_session *
take(struct rota_tls_config *config, const char *name)
{
	for (size_t i = 0; i < ROTA__TLS_SESSIONS && config->sessions[i] != NULL; i++) {
		struct rota__tls_session *kept = config->sessions[i];

		if (strcmp(kept->name, name) != 0)
			continue;
		memmove(config->sessions + i, config->sessions + i + 1,
			(ROTA__TLS_SESSIONS - 1 - i) * sizeof(struct rota__tls_session *));
		config->sessions[ROTA__TLS_SESSIONS - 1] = NULL;
		return kept;
	}
	return NULL;
}

void
rota__tls_session_use(struct rota_tls_config *config, SSL *ssl, const char *name)
{
	struct rota__tls_session *kept;

	pthread_mutex_lock(&config->lock);
	kept = take(config, name);
	pthread_mutex_unlock(&config->lock);
	if (kept == NULL)
		return;
	if (SSL_SESSION_is_resumable(kept->session))
		(void)SSL_set_session(ssl, kept->session);
	if (SSL_SESSION_get_protocol_version(kept->session) < TLS1_3_VERSION) {
		pthread_mutex_lock(&config->lock);
		kept = push(config, kept);
		pthread_mutex_unlock(&config->lock);
	}
	dispose(kept);
}

void
rota__tls_sessions_free(struct rota_tls_config *config)
{
	for (size_t i = 0; i < ROTA__TLS_SESSIONS; i++)
		dispose(config->sessions[i]);
}
