/* SPDX-License-Identifier: MIT */
/*
 * turn-libev.c - what a turn of Rota is compared with: ev_run(EVRUN_ONCE) with one ev_io that is
 * always ready. Takes the number of runs; bench/run counts the instructions under callgrind.
 */
#include <ev.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static uint64_t handled;

static void
on_ready(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop;
	(void)io;
	(void)events;
	handled++;
}

int
main(int argc, char **argv)
{
	uint64_t turns = argc == 2 ? strtoull(argv[1], NULL, 10) : 0;
	struct ev_loop *loop = ev_loop_new(EVBACKEND_EPOLL);
	int fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
	uint64_t i;
	ev_io io;

	if (turns == 0 || !loop || fd < 0) {
		fputs("usage: turn-libev TURNS\n", stderr);
		return 2;
	}
	/* Nobody reads the eventfd, so it stays readable. */
	ev_io_init(&io, on_ready, fd, EV_READ);
	ev_io_start(loop, &io);
	for (i = 0; i < turns; i++)
		ev_run(loop, EVRUN_ONCE);
	ev_io_stop(loop, &io);
	ev_loop_destroy(loop);
	close(fd);
	return handled == turns ? 0 : 1;
}
