/* SPDX-License-Identifier: MIT */
/*
 * Rota in a libuv loop (library librota-uv, pkg-config rota-uv).
 */
#ifndef ROTA_GRAFT_UV_H
#define ROTA_GRAFT_UV_H

#include <rota/graft.h>

ROTA_BEGIN_DECLS

struct uv_loop_s;

/*
 * Lets host (a uv_loop_t) take the turns of ctx. vars, on_end, userdata and the result are those of
 * rota_graft_make. As long as it is attached, the graft keeps uv_run going.
 *
 * libuv gives handles back in its next iteration, and uv_loop_close refuses before that: after the
 * graft has ended or was removed, uv_run once more. In a forked child call uv_loop_fork after
 * rota_context_forked. The handles are the graft's: what closes all that uv_walk finds has to
 * remove the graft instead.
 */
ROTA_API int rota_graft_uv(struct rota_context *ctx, struct rota_dispatchvars *vars,
	struct uv_loop_s *host, rota_graft_end_fn *on_end, void *userdata,
	struct rota_graft **ret_graft);

ROTA_END_DECLS

#endif
