/* SPDX-License-Identifier: MIT */
/*
 * Rota: versions. Before 1.0 every minor version may change the ABI, and changes the soname.
 */
#ifndef ROTA_VERSION_H
#define ROTA_VERSION_H

#include <rota/api.h>

ROTA_BEGIN_DECLS

#define ROTA_VERSION_MAJOR 0
#define ROTA_VERSION_MINOR 1
#define ROTA_VERSION_PATCH 0
#define ROTA_VERSION "0.1.0"

/* The version of the library that runs, a static string: "0.1.0". */
ROTA_API const char *rota_version(void);

ROTA_END_DECLS

#endif
