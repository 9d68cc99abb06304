/* SPDX-License-Identifier: MIT */
/*
 * Sockets without the library: the peers of streams and listeners. They do not block; what fails
 * that should not fails the test.
 */
#ifndef ROTA_TESTS_RAW_H
#define ROTA_TESTS_RAW_H

#include <stdbool.h>
#include <sys/types.h>

#include <rota/address.h>

/* A listening socket and its address; its next connection; a connection to an address. */
int raw_listen(const char *text, int backlog, char ret_text[ROTA_ADDRESS_TEXT]);
int raw_accept(int fd);
int raw_connect(const char *text);

/* Many of those, and their end. */
void raw_connect_all(int *peers, int count, const char *text);
void raw_close_all(const int *peers, int count);

/* The same that does not wait: the descriptor, connected or connecting, or a negative errno. */
int raw_begin_connect(const char *text);

/* Whether nobody listens there. */
bool raw_is_refused(const char *text);

/* A port of the loopback that nobody listens on. */
void raw_unused_address(char ret_text[ROTA_ADDRESS_TEXT]);

/* Whether something, or the end, has come to fd, or comes within so many milliseconds. */
bool raw_has_input(int fd, int patience);

/* Sends all of it; reads once, and returns as recv does, but a negative errno on failure. */
void raw_send(int fd, const void *bytes, size_t len);
ssize_t raw_receive(int fd, void *bytes, size_t size);

/* Closes it with a reset. */
void raw_reset(int fd);

/* Nothing has come to fd, and it has not ended. */
void expect_silence(int fd);

#endif
