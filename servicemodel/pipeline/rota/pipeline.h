/* SPDX-License-Identifier: MIT */
/*
 * Rota: all of librota-pipeline: commands in pipelines, run by dispatchers.
 */
#ifndef ROTA_PIPELINE_H
#define ROTA_PIPELINE_H

#include <rota/command.h>
#include <rota/record.h>
#include <rota/registry.h>

#endif
