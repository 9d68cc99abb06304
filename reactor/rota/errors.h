/* SPDX-License-Identifier: MIT */
/*
 * Rota: errors. Every call that can fail returns 0 or more on success and a negative number on
 * failure: a negated errno (-ENOMEM, -EADDRINUSE), or one of the codes below, negated too
 * (-ROTA_EFULL). Output parameters, named ret_…, are written on success only.
 */
#ifndef ROTA_ERRORS_H
#define ROTA_ERRORS_H

#include <rota/api.h>

ROTA_BEGIN_DECLS

/* X(name, value, text): the codes that errno has no number for. */
#define ROTA_ERRORS(X) \
	X(ROTA_EFULL, 10001, "output is above its high mark; on_drain follows") \
	X(ROTA_ESTOPPED, 10002, "stopped by an error handler or by rota_context_stop") \
	X(ROTA_EADDRESS, 10003, \
		"not an address: want HOST:PORT, [V6]:PORT, unix:/PATH, unix:@NAME or fd:N") \
	X(ROTA_ENAME, 10004, "host names are not resolved here: give a numeric address") \
	X(ROTA_ELIMIT, 10005, "a limit was reached") \
	X(ROTA_ECLOSED, 10006, "closed") \
	X(ROTA_ETRUNCATED, 10007, "the peer ended in the middle") \
	X(ROTA_EPROXY, 10008, "not a PROXY protocol header, or only a part of one") \
	X(ROTA_ECIDR, 10009, "not a network: want ADDRESS/BITS, a numeric ADDRESS or unix:") \
	X(ROTA_EHOSTBITS, 10010, \
		"bits are set behind the network's prefix: 10.0.0.0/8, not 10.1.2.3/8") \
	X(ROTA_ETLS, 10011, "TLS failed") \
	X(ROTA_EHOST, 10012, \
		"not the name of a host: want labels of 1 to 63 letters, digits, - and _, 253 " \
		"bytes in all, and no number at the end") \
	X(ROTA_ENOHOST, 10013, "no host has that name") \
	X(ROTA_ENOADDRESS, 10014, "the name has no address") \
	X(ROTA_ERESOLVE, 10015, "the name servers could not tell: try again later") \
	X(ROTA_EFRAME, 10016, "not a frame, or not one of this framing") \
	X(ROTA_EPACK, 10017, "packed values are not as the pattern says") \
	X(ROTA_EREFUSED, 10018, "the peer refused the call") \
	X(ROTA_ELOST, 10019, "the connection was lost before the reply") \
	X(ROTA_ETOPIC, 10020, \
		"not a topic: want words with a dot between two; * and > are words of patterns " \
		"only, > the last") \
	X(ROTA_ELATE, 10021, "too late: the request has ended") \
	X(ROTA_EPIPELINE, 10022, "not a pipeline, or not as its commands want it") \
	X(ROTA_EUNBUILT, 10023, "the pipeline was changed, and not built since")

enum rota_error {
#define ROTA_ERROR_CODE(name, value, text) name = value,
	ROTA_ERRORS(ROTA_ERROR_CODE)
#undef ROTA_ERROR_CODE
};

/*
 * The symbol of an error code, given negative or positive: "ROTA_EFULL", "ENOMEM"; "EUNKNOWN" for a
 * number that is no error. A static string. From any thread.
 */
ROTA_API const char *rota_error_name(int error);

/*
 * Writes a line of text for an error code (negative or positive) into the caller's buffer of size
 * bytes, always ended by a NUL when size is not 0, cut when it is too small. Returns buffer. From
 * any thread.
 */
ROTA_API const char *rota_strerror(int error, char *buffer, size_t size);

ROTA_END_DECLS

#endif
