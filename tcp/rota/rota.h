/* SPDX-License-Identifier: MIT */
/*
 * Rota: all of librota, the reactor and TCP.
 */
#ifndef ROTA_ROTA_H
#define ROTA_ROTA_H

#include <rota/address.h>
#include <rota/admission.h>
#include <rota/allocator.h>
#include <rota/api.h>
#include <rota/child.h>
#include <rota/cidr.h>
#include <rota/clock.h>
#include <rota/connect.h>
#include <rota/context.h>
#include <rota/drain.h>
#include <rota/errors.h>
#include <rota/iterate.h>
#include <rota/listener.h>
#include <rota/meter.h>
#include <rota/proxy_protocol.h>
#include <rota/relay.h>
#include <rota/resolver.h>
#include <rota/signals.h>
#include <rota/stream.h>
#include <rota/target.h>
#include <rota/task.h>
#include <rota/timer.h>
#include <rota/tls.h>
#include <rota/version.h>

#endif
