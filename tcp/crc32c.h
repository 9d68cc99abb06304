/* SPDX-License-Identifier: MIT */
/*
 * CRC32C, the checksum of SCTP (RFC 9260, appendix A) that PROXY protocol headers carry too.
 */
#ifndef ROTA_PRIVATE_CRC32C_H
#define ROTA_PRIVATE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/*
 * Of the bytes behind those that crc is the checksum of; 0: behind none. So the parts of a text
 * give the same as the whole.
 */
uint32_t rota__crc32c(uint32_t crc, const void *bytes, size_t len);

#endif
