/* SPDX-License-Identifier: MIT */
/*
 * Standard input, output and error of a program of pipelines: that each is there, and what happens
 * when nobody reads its output any more.
 */
#ifndef ROTA_PRIVATE_PROGRAM_STDIO_H
#define ROTA_PRIVATE_PROGRAM_STDIO_H

#include <signal.h>

/*
 * Opens those of the three that are closed, so that no file takes their numbers: in a way that
 * cannot be read or written, as if they were closed. What cannot be opened stays as it is.
 */
void rota__stdio_fill(void);

/*
 * From here on nobody dies of a pipe that nobody reads; the write fails. So all processes of a run
 * are ended in order, and nothing of theirs is left behind.
 */
void rota__stdio_hold_sigpipe(struct sigaction *ret_before);

/*
 * As it was before; and if standard output is a pipe that nobody reads, and SIGPIPE is deadly, the
 * process ends by that here.
 */
void rota__stdio_release_sigpipe(const struct sigaction *before);

#endif
