/* SPDX-License-Identifier: MIT */
/*
 * common.h - what every mode of the load generator needs: an end with a reason, a clock, a gate
 * where the caller looks at the server, and epoll entries that know who handles them.
 */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define NS_PER_SECOND 1000000000ull

struct load_options;

/* The first member of whatever epoll tells about. */
struct watch {
	void (*ready)(struct watch *watch);
};

_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Zeroed, and never NULL. */
void *allocate(size_t count, size_t size);

uint64_t now_ns(void);

/* Returns a pattern of `len` printable bytes that repeats after `period`. */
char *new_pattern(size_t len, size_t period);

int new_epoll(void);

/* Adds `watch` to an epoll set, or changes what it waits for. */
void watch_add(int epoll, int fd, struct watch *watch, uint32_t events);
void watch_change(int epoll, int fd, struct watch *watch, uint32_t events);

/* Handles what is ready; waits up to `timeout` ms for something to be. */
void handle_events(int epoll, int timeout);

/* The timeout while measuring: none, unless the user wants the load to sleep. */
int measuring_timeout(const struct load_options *options);

/* Begins a connection to the server; `ready` is called at every edge of it. */
int start_connection(const struct load_options *options, int epoll, struct watch *watch);

/* What became of the connection: ends the program if it failed. */
void check_connected(int fd);

/* Like send and recv; what fails for another reason than EAGAIN ends the program. */
ssize_t plain_send(int fd, const void *bytes, size_t len);
ssize_t plain_recv(int fd, void *bytes, size_t len, int flags);

/* Lets the caller look at the server while neither side is doing anything. */
void pass_gate(const struct load_options *options, const char *word);

#endif
