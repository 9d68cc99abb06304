/* SPDX-License-Identifier: MIT */
/*
 * Records from other processes, by turns of a context. In order means: all of the first process,
 * then all of the next; those whose turn has not come wait as soon as their channel is full. A
 * channel that ends without saying so is one whose process has died.
 */
#include <errno.h>
#include <string.h>

#include <rota/errors.h>

#include "process.h"

void
rota__intake_init(struct rota__intake *intake, struct rota_context *ctx, struct rota_names *names,
	rota_sink_fn *sink, void *userdata)
{
	memset(intake, 0, sizeof(*intake));
	intake->ctx = ctx;
	intake->sink = sink;
	intake->userdata = userdata;
	rota_batch_reader_init(&intake->reader, names);
	rota_record_init(&intake->record, names);
}

void
rota__intake_stop(struct rota__intake *intake)
{
	for (size_t i = 0; i < intake->count; i++) {
		rota_receiver_close(intake->ports[i].receiver);
		intake->ports[i].receiver = NULL;
	}
	intake->is_over = true;
}

void
rota__intake_fini(struct rota__intake *intake)
{
	rota__intake_stop(intake);
	rota_batch_reader_fini(&intake->reader);
	rota_record_fini(&intake->record);
}

static void
end_with(struct rota__intake *intake, int result)
{
	if (intake->result == 0)
		intake->result = result;
	rota__intake_stop(intake);
}

static void
take_batch(struct rota__intake *intake, const struct rota_event *event)
{
	int r;

	rota_batch_reader_begin(&intake->reader, event->bytes, event->len);
	for (;;) {
		r = rota_batch_reader_next(&intake->reader, &intake->record);
		if (r == 0)
			return;
		if (r > 0)
			r = intake->sink(&intake->record, intake->userdata);
		if (r != 0) {
			end_with(intake, r < 0 ? r : 0);
			return;
		}
	}
}

static int
on_event(struct rota_receiver *receiver, const struct rota_event *event, void *userdata)
{
	struct rota__port *port = userdata;

	(void)receiver;
	if (strcmp(event->name, ROTA__END) == 0)
		port->is_ended = true;
	else
		take_batch(port->intake, event);
	return 0;
}

static int
attach_next(struct rota__intake *intake)
{
	for (size_t i = 0; i < intake->count; i++) {
		if (intake->ports[i].receiver != NULL)
			return rota_receiver_attach(intake->ports[i].receiver, intake->ctx);
	}
	return 0;
}

static void
on_close(struct rota_receiver *receiver, void *userdata)
{
	struct rota__port *port = userdata;
	struct rota__intake *intake = port->intake;
	int r = 0;

	rota_receiver_close(receiver);
	port->receiver = NULL;
	intake->open--;
	if (!port->is_ended) {
		intake->is_cut = intake->result == 0;
		end_with(intake, -ROTA_ELOST);
	} else if (intake->open == 0) {
		intake->is_over = true;
	} else if (intake->is_in_order) {
		r = attach_next(intake);
		if (r < 0)
			end_with(intake, r);
	}
}

static const struct rota_receiver_handlers handlers = { .on_event = on_event,
	.on_close = on_close };

int
rota__intake_add(struct rota__intake *intake, struct rota_channel *channel)
{
	struct rota__port *port = &intake->ports[intake->count];
	int r = rota_channel_receiver(channel, &port->receiver);

	if (r < 0)
		return r;
	port->intake = intake;
	rota_receiver_set_handlers(port->receiver, &handlers, port);
	intake->count++;
	intake->open++;
	return 0;
}

int
rota__intake_start(struct rota__intake *intake, bool is_in_order)
{
	int r = 0;

	intake->is_in_order = is_in_order;
	if (is_in_order)
		return attach_next(intake);
	for (size_t i = 0; r == 0 && i < intake->count; i++)
		r = rota_receiver_attach(intake->ports[i].receiver, intake->ctx);
	return r;
}
