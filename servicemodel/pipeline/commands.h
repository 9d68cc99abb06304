/* SPDX-License-Identifier: MIT */
/* The library's own commands, which every new registry has. */
#ifndef ROTA_PRIVATE_COMMANDS_H
#define ROTA_PRIVATE_COMMANDS_H

#include <rota/command.h>

/* Then NULL. */
extern const struct rota_command *const rota__commands[];

#endif
