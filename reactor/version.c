/* SPDX-License-Identifier: MIT */
/*
 * The version of the library that runs: a function, and not only the header's macro, because a
 * program may be loaded with another build than the one whose headers it was compiled with.
 */
#include <rota/version.h>

const char *
rota_version(void)
{
	return ROTA_VERSION;
}
