/* SPDX-License-Identifier: MIT */
/*
 * rota-pipeline.c - runs pipelines of the library's commands. A program with commands of its own is
 * as short: see <rota/pipeline_program.h>.
 *
 *   rota-pipeline run "read access.log | parse combined | stats count by status | output"
 */
#include <rota/pipeline_program.h>

#include <stddef.h>

int
main(int argc, char **argv)
{
	return rota_pipeline_main(argc, argv, NULL);
}
