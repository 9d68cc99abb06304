/* SPDX-License-Identifier: MIT */
/*
 * Rota: all of librota-servicemodel: services, framings, dialogs, clients, processes, channels,
 * gathers, packed values. It includes all of <rota/rota.h> too.
 */
#ifndef ROTA_SERVICEMODEL_H
#define ROTA_SERVICEMODEL_H

#include <rota/channel.h>
#include <rota/client.h>
#include <rota/dialog.h>
#include <rota/framing.h>
#include <rota/gather.h>
#include <rota/gather_backing.h>
#include <rota/handover.h>
#include <rota/pack.h>
#include <rota/pool.h>
#include <rota/pool_display.h>
#include <rota/pool_load.h>
#include <rota/pool_monitor.h>
#include <rota/prefork.h>
#include <rota/responder.h>
#include <rota/rota.h>
#include <rota/service.h>
#include <rota/service_meter.h>
#include <rota/systemd.h>
#include <rota/worker.h>

#endif
