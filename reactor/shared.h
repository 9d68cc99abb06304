/* SPDX-License-Identifier: MIT */
/*
 * What librota gives to Rota's other libraries, of the same version, and to nobody else: the few
 * internal functions that are declared with this. librota.map names them.
 */
#ifndef ROTA_PRIVATE_SHARED_H
#define ROTA_PRIVATE_SHARED_H

#define ROTA_SHARED __attribute__((visibility("default")))

#endif
