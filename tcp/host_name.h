/* SPDX-License-Identifier: MIT */
/*
 * Names of hosts, as text: what may be looked up, and in which form.
 */
#ifndef ROTA_PRIVATE_HOST_NAME_H
#define ROTA_PRIVATE_HOST_NAME_H

#include <rota/api.h>

/* The longest name, without the dot that may end it (RFC 1035, 2.3.4), and its longest label. */
#define ROTA__HOST_MAX 253
#define ROTA__LABEL_MAX 63

/*
 * Checks the first length bytes of text, and writes the name in the form by which it is known: in
 * small letters, without a dot at its end. 0, or -ROTA_EHOST: then nothing is written.
 */
int rota__host_name_read(const char *text, size_t length, char ret_name[ROTA__HOST_MAX + 1]);

/*
 * The same for NAME:PORT. *ret_length is that of the name in the text. 0, -ROTA_EHOST, or
 * -ROTA_EADDRESS for a port that is none.
 */
int rota__host_port_read(const char *text, char ret_name[ROTA__HOST_MAX + 1], size_t *ret_length,
	uint16_t *ret_port);

#endif
