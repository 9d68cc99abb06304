/* SPDX-License-Identifier: MIT */
/* Pipelines for tests, and what comes out of them: see plumbing.h. */
#include "plumbing.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <rota/errors.h>

void
plumbing_open(struct plumbing *plumbing)
{
	memset(plumbing, 0, sizeof *plumbing);
	assert_int_equal(rota_registry_new(&plumbing->registry), 0);
	for (size_t i = 0; plumbing_commands[i] != NULL; i++)
		assert_int_equal(rota_registry_add_command(plumbing->registry,
					 plumbing_commands[i]),
			0);
	assert_int_equal(rota_pipeline_context_new(plumbing->registry, &plumbing->context), 0);
}

void
plumbing_close(struct plumbing *plumbing)
{
	rota_pipeline_context_free(plumbing->context);
	rota_registry_free(plumbing->registry);
}

void
plumbing_parse(struct plumbing *plumbing, const char *text)
{
	if (rota_pipeline_parse(plumbing->context, text, strlen(text), &plumbing->error) < 0)
		fail_msg("%s: %s", text, plumbing->error.text);
}

void
plumbing_expect_error(const char *text, const char *message)
{
	struct plumbing plumbing;

	plumbing_open(&plumbing);
	assert_int_equal(rota_pipeline_parse(plumbing.context, text, strlen(text), &plumbing.error),
		-ROTA_EPIPELINE);
	assert_string_equal(plumbing.error.text, message);
	assert_null(rota_pipeline_at(plumbing.context, 0));
	plumbing_close(&plumbing);
}

static void
add_value(struct plumbing *plumbing, const char *name, const struct rota_value *value)
{
	char *at = plumbing->out + plumbing->out_len;
	size_t size = sizeof plumbing->out - plumbing->out_len;
	int n = 0;

	if (strcmp(name, "n") != 0)
		n = snprintf(at, size, "%s=", name);
	at += n;
	size -= (size_t)n;
	plumbing->out_len += (size_t)n;
	if (value->type == ROTA_TYPE_INT)
		n = snprintf(at, size, "%" PRId64, value->is.integer);
	else
		n = snprintf(at, size, "%.*s", (int)value->len, value->is.bytes);
	plumbing->out_len += (size_t)n;
}

int
plumbing_sink(struct rota_record *record, void *userdata)
{
	struct plumbing *plumbing = userdata;

	plumbing->out_count++;
	if (plumbing->out_len + 600 > sizeof plumbing->out)
		return 0;
	if (plumbing->out_len > 0)
		plumbing->out[plumbing->out_len++] = ' ';
	for (size_t i = 0; i < record->count; i++) {
		if (i > 0)
			plumbing->out[plumbing->out_len++] = ',';
		add_value(plumbing, rota_names_text(record->names, record->fields[i].name).bytes,
			&record->fields[i].value);
	}
	return 0;
}
