/* SPDX-License-Identifier: MIT */
/* What rota-pipeline can do, as its list and help tell it. */
#include "program_work.h"

#include <stdio.h>

static void
print_aliases(const char *const *aliases, const char *summary)
{
	char names[80] = "";
	size_t len = 0;

	for (size_t i = 0; aliases[i] != NULL && len < sizeof names; i++)
		len += (size_t)snprintf(names + len, sizeof names - len, "%s%s", i == 0 ? "" : ", ",
			aliases[i]);
	printf("  %-28s %s\n", names, summary == NULL ? "" : summary);
}

int
rota__program_list(struct work *work)
{
	const struct rota_registry *registry = work->registry;
	const struct rota_dispatcher *dispatcher;
	const struct rota_command *command;

	if (work->arguments.rest_count != 0)
		return rota__program_misuse(work, "list takes no argument, not \"%s\"",
			work->arguments.rest[0]);
	printf("Commands:\n");
	for (size_t i = 0; (command = rota_registry_command_at(registry, i)) != NULL; i++)
		print_aliases(command->aliases, command->summary);
	printf("Dispatchers:\n");
	for (size_t i = 0; (dispatcher = rota_registry_dispatcher_at(registry, i)) != NULL; i++)
		print_aliases(dispatcher->aliases, dispatcher->summary);
	return rota__program_flush(work);
}

static void
print_argument(const struct rota_argument *argument)
{
	static const char *const types[] = {
		[ROTA_ARGUMENT_BOOL] = "true or false",
		[ROTA_ARGUMENT_INT] = "whole number",
		[ROTA_ARGUMENT_DOUBLE] = "number",
		[ROTA_ARGUMENT_DURATION] = "time",
		[ROTA_ARGUMENT_TEXT] = "text",
		[ROTA_ARGUMENT_FIELD] = "field",
		[ROTA_ARGUMENT_FIELDS] = "fields",
		[ROTA_ARGUMENT_EXPRESSION] = "expression",
		[ROTA_ARGUMENT_PIPELINE] = "pipeline",
	};

	printf("  %s%s%s  (%s", argument->name,
		(argument->flags & ROTA_ARGUMENT_POSITIONAL) != 0 ? "" : "=",
		(argument->flags & ROTA_ARGUMENT_REQUIRED) != 0 ? ", required" : "",
		argument->choices != NULL ? argument->choices : types[argument->type]);
	if (argument->default_value != NULL)
		printf("; %s if it is not given", argument->default_value);
	printf(")\n      %s\n", argument->help == NULL ? "" : argument->help);
}

int
rota__program_help(struct work *work)
{
	static const char *const kinds[] = { "generating", "streaming", "merging" };
	const struct rota_command *command;

	if (work->arguments.rest_count != 1)
		return rota__program_misuse(work, "help takes the name of a command");
	command = rota_registry_command(work->registry, work->arguments.rest[0]);
	if (command == NULL)
		return rota__program_misuse(work, "there is no command \"%s\", list shows them",
			work->arguments.rest[0]);
	printf("%s (%s): %s\n", command->aliases[0], kinds[command->kind],
		command->summary == NULL ? "" : command->summary);
	for (size_t i = 0; command->arguments != NULL && command->arguments[i].name != NULL; i++)
		print_argument(&command->arguments[i]);
	if (command->help != NULL)
		printf("\n%s\n", command->help);
	return rota__program_flush(work);
}
