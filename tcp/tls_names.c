/* SPDX-License-Identifier: MIT */
/*
 * The names in a certificate (RFC 5280, 4.2.1.6), and which texts are names of hosts.
 */
#include <arpa/inet.h>
#include <string.h>

#include <openssl/x509v3.h>

#include "tls_config.h"

#define LABEL_MAX 63
#define HOST_MAX 253

bool
rota__tls_is_host(const char *name, bool may_have_star)
{
	static const char bytes[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	const char *label = name;

	if (may_have_star && strncmp(label, "*.", 2) == 0)
		label += 2;
	for (;;) {
		size_t len = strspn(label, bytes);

		if (len == 0 || len > LABEL_MAX || label[0] == '-' || label[len - 1] == '-')
			return false;
		label += len;
		if (*label == '\0' || strcmp(label, ".") == 0)
			return (size_t)(label - name) <= HOST_MAX;
		if (*label != '.')
			return false;
		label++;
	}
}

static bool
visit_text(const char *kind, const ASN1_STRING *text, rota__tls_name_fn *visit, void *userdata)
{
	return visit(kind, (const char *)ASN1_STRING_get0_data(text),
		(size_t)ASN1_STRING_length(text), userdata);
}

static bool
visit_ip(const ASN1_OCTET_STRING *ip, rota__tls_name_fn *visit, void *userdata)
{
	int len = ASN1_STRING_length(ip);
	char text[INET6_ADDRSTRLEN];

	if (len != 4 && len != 16)
		return true;
	inet_ntop(len == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(ip), text, sizeof text);
	return visit("ip", text, strlen(text), userdata);
}

static bool
visit_name(const GENERAL_NAME *name, rota__tls_name_fn *visit, void *userdata)
{
	switch (name->type) {
	case GEN_DNS:
		return visit_text("dns", name->d.dNSName, visit, userdata);
	case GEN_URI:
		return visit_text("uri", name->d.uniformResourceIdentifier, visit, userdata);
	case GEN_EMAIL:
		return visit_text("email", name->d.rfc822Name, visit, userdata);
	case GEN_IPADD:
		return visit_ip(name->d.iPAddress, visit, userdata);
	default:
		return true;
	}
}

static void
visit_common_name(X509 *certificate, rota__tls_name_fn *visit, void *userdata)
{
	X509_NAME *subject = X509_get_subject_name(certificate);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	unsigned char *text;
	int len;

	if (at < 0)
		return;
	len = ASN1_STRING_to_UTF8(&text,
		X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	if (len < 0)
		return;
	visit("cn", (const char *)text, (size_t)len, userdata);
	OPENSSL_free(text);
}

void
rota__tls_each_name(X509 *certificate, rota__tls_name_fn *visit, void *userdata)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	int count = names != NULL ? sk_GENERAL_NAME_num(names) : 0;
	bool goes_on = true;

	for (int i = 0; i < count && goes_on; i++)
		goes_on = visit_name(sk_GENERAL_NAME_value(names, i), visit, userdata);
	if (goes_on)
		visit_common_name(certificate, visit, userdata);
	GENERAL_NAMES_free(names);
}
