/* SPDX-License-Identifier: MIT */
/*
 * events.c - two processes that send and receive: see events.h. The time is from the first event
 * to the end of the process that receives.
 */
#include "events.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <signal.h>

#include "common.h"

static void
go_to(int core)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(core, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		die("core %d cannot be used", core);
}

static const struct events_mode *
find(const struct events_mode *modes, const char *name)
{
	while (modes->name != NULL && strcmp(modes->name, name) != 0)
		modes++;
	if (modes->name == NULL)
		die("no mode %s", name);
	return modes;
}

int
events_main(int argc, char **argv, const struct events_mode *modes)
{
	struct events events;
	const struct events_mode *mode;
	uint64_t start;
	int status;
	pid_t pid;

	if (argc != 5)
		die("usage: %s MODE COUNT SENDERS-CORE RECEIVERS-CORE", argv[0]);
	mode = find(modes, argv[1]);
	events.mode = argv[1];
	events.count = strtoull(argv[2], NULL, 10);
	events.cores[0] = atoi(argv[3]);
	events.cores[1] = atoi(argv[4]);
	if (mode->open != NULL)
		mode->open(&events);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		go_to(events.cores[1]);
		mode->receive(&events);
		_exit(0);
	}
	go_to(events.cores[0]);
	start = now_ns();
	mode->send(&events);
	if (waitpid(pid, &status, 0) != pid || status != 0)
		die("who receives has failed");
	printf("{\"count\": %llu, \"seconds\": %.9f}\n", (unsigned long long)events.count,
		(double)(now_ns() - start) / 1e9);
	return 0;
}
