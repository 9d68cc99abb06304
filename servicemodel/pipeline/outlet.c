/* SPDX-License-Identifier: MIT */
/*
 * Records to another process, gathered in batches. To send blocks while the channel is full, which
 * is what holds back the commands before it.
 */
#include <errno.h>

#include "process.h"

void
rota__outlet_init(struct rota__outlet *outlet, struct rota_names *names, struct rota_sender *sender)
{
	outlet->sender = sender;
	rota_batch_init(&outlet->batch, names, ROTA__BATCH_MOST);
}

void
rota__outlet_fini(struct rota__outlet *outlet)
{
	rota_batch_fini(&outlet->batch);
}

static int
send_batch(struct rota__outlet *outlet)
{
	int r;

	if (outlet->batch.records == 0)
		return 0;
	r = rota_sender_fire_bytes(outlet->sender, ROTA__RECORDS, outlet->batch.bytes.bytes,
		outlet->batch.bytes.len);
	rota_batch_reset(&outlet->batch);
	return r == -EPIPE ? ROTA_STOP : r;
}

int
rota__outlet_send(struct rota_record *record, void *userdata)
{
	struct rota__outlet *outlet = userdata;
	int r = rota_batch_add(&outlet->batch, record);

	if (r < 0)
		return r;
	return outlet->batch.bytes.len < ROTA__BATCH_ENOUGH ? 0 : send_batch(outlet);
}

int
rota__outlet_end(struct rota__outlet *outlet)
{
	int r = send_batch(outlet);

	if (r == 0)
		r = rota_sender_fire_bytes(outlet->sender, ROTA__END, NULL, 0);
	return r == -EPIPE || r == ROTA_STOP ? 0 : r;
}
