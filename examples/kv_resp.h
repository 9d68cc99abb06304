/* SPDX-License-Identifier: MIT */
/*
 * kv_resp.h - RESP2, the protocol of redis: what clients say is cut into commands here, and what is
 * answered is written here. Nothing in it knows what a command does, or waits for anything.
 */
#ifndef EXAMPLES_KV_RESP_H
#define EXAMPLES_KV_RESP_H

#include <rota/framing.h>

/* Bytes of somebody else's, which may be any. */
struct kv_text {
	const char *bytes;
	size_t len;
};

/*
 * The framing. A frame is a whole command: an array of bulk strings, or a line, as people type them
 * into netcat. Its payload is all of it, so a struct rota_framing's limit is the longest command.
 */
extern const struct rota_framing_ops kv_resp_framing;

/* The longest line. */
#define KV_RESP_LINE ((size_t)64 << 10)

/*
 * What was wrong with what is no command: redis' words. rota_framing.own leads to one, or is NULL.
 */
struct kv_fault {
	char text[64];
};

/* The words of a command, in the bytes of its frame, or, of a line, in a copy without quotes. */
struct kv_words {
	struct kv_text *at;
	size_t count;
	size_t room;
	char *line; /* KV_RESP_LINE bytes; NULL until there was a line */
};

/*
 * Splits a frame into words; there may be none. Returns 0; -ROTA_EFRAME when the quotes of a line
 * do not end; -ENOMEM. Free words, zeroed at first, with kv_words_free.
 */
int kv_resp_split(const void *frame, size_t len, struct kv_words *words);
void kv_words_free(struct kv_words *words);

/* A whole number, written as redis wants it: no blanks, no +, no zeros in front. */
bool kv_text_number(const struct kv_text *text, int64_t *ret_number);

/* Whether it is this word, in whatever case; word has small letters. */
bool kv_text_is(const struct kv_text *text, const char *word);

/*
 * Where an answer is gathered, so that it is sent in one. It grows as it must, up to KV_REPLY_MOST;
 * after what did not fit it takes nothing more, and has failed.
 */
struct kv_reply {
	char *bytes;
	size_t len;
	size_t room;
	bool failed;
};

#define KV_REPLY_MOST ((size_t)64 << 20)

/* Empties it, and frees what is more than an ordinary answer needs. */
void kv_reply_clear(struct kv_reply *reply);
void kv_reply_free(struct kv_reply *reply);

void kv_reply_raw(struct kv_reply *reply, const void *bytes, size_t len);
void kv_reply_status(struct kv_reply *reply, const char *word); /* "OK" */
void kv_reply_integer(struct kv_reply *reply, int64_t number);
void kv_reply_bulk(struct kv_reply *reply, const void *bytes, size_t len);
void kv_reply_word(struct kv_reply *reply, const char *word); /* as a bulk string */
void kv_reply_null(struct kv_reply *reply);
void kv_reply_array(struct kv_reply *reply, size_t count); /* what is in it follows */
/* "ERR syntax error"; ends of lines within it become blanks, those at its end are left out. */
void kv_reply_error(struct kv_reply *reply, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
