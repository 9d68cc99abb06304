/* SPDX-License-Identifier: MIT */
/* The list of the library's commands. Each has a file of its own. */
#include "commands.h"

/* By name. */
const struct rota_command *const rota__commands[] = {
	NULL,
};
