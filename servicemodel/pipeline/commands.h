/* SPDX-License-Identifier: MIT */
/* The library's own commands, which every new registry has. */
#ifndef ROTA_PRIVATE_COMMANDS_H
#define ROTA_PRIVATE_COMMANDS_H

#include <rota/command.h>

extern const struct rota_command rota__command_eval, rota__command_fields, rota__command_foreach,
	rota__command_head, rota__command_make, rota__command_output, rota__command_parse,
	rota__command_read, rota__command_rename, rota__command_sort, rota__command_stats,
	rota__command_tail, rota__command_where, rota__command_write;

/* Then NULL. */
extern const struct rota_command *const rota__commands[];

#endif
