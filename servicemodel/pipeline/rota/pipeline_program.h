/* SPDX-License-Identifier: MIT */
/*
 * Rota: the command line of rota-pipeline(1), for programs that add commands, dispatchers or stores
 * of their own:
 *
 *     int
 *     main(int argc, char **argv)
 *     {
 *             struct rota_registry *registry;
 *             int status;
 *
 *             if (rota_registry_new(&registry) < 0 ||
 *                     rota_registry_add_command(registry, &my_command) < 0)
 *                     return 1;
 *             status = rota_pipeline_main(argc, argv, registry);
 *             rota_registry_free(registry);
 *             return status;
 *     }
 */
#ifndef ROTA_PIPELINE_PROGRAM_H
#define ROTA_PIPELINE_PROGRAM_H

#include <rota/api.h>

ROTA_BEGIN_DECLS

struct rota_registry;

/*
 * Does what the arguments say, with the program's stdin, stdout and stderr. registry NULL: one
 * that has only what is the library's. Returns the exit status: 0; 1 when it failed, 2 for
 * arguments that were wrong, each after a line on stderr.
 */
ROTA_API int rota_pipeline_main(int argc, char **argv, const struct rota_registry *registry);

ROTA_END_DECLS

#endif
