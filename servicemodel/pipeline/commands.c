/* SPDX-License-Identifier: MIT */
/* The list of the library's commands. Each has a file of its own, or a few share one. */
#include "commands.h"

/* By name. */
const struct rota_command *const rota__commands[] = {
	&rota__command_eval,
	&rota__command_fields,
	&rota__command_foreach,
	&rota__command_head,
	&rota__command_make,
	&rota__command_output,
	&rota__command_parse,
	&rota__command_read,
	&rota__command_rename,
	&rota__command_sort,
	&rota__command_stats,
	&rota__command_tail,
	&rota__command_where,
	&rota__command_write,
	NULL,
};
