/* SPDX-License-Identifier: MIT */
/*
 * Golden traces: handlers and hooks write words, a test compares the sentence. A trace is the
 * process's, of one thread, and empty at first and after each check.
 */
#ifndef ROTA_TESTS_TRACE_H
#define ROTA_TESTS_TRACE_H

/* Appends a word. */
void trace(const char *format, ...) __attribute__((format(printf, 1, 2)));

void trace_clear(void);

/* The words since the last check, separated by blanks, are these; "" for none. */
#define assert_trace(words) trace_check((words), __FILE__, __LINE__)

void trace_check(const char *words, const char *file, int line);

#endif
