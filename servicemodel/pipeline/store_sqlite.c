/* SPDX-License-Identifier: MIT */
/*
 * The store in a file of SQLite's. The file is open between entering and leaving only. Each change
 * is one statement, so it is a transaction: done or not done, whatever dies in the middle. A
 * connection must not cross a fork: the forked process forgets it, without closing it, and opens
 * its own when it needs one.
 */
#include <errno.h>
#include <string.h>

#include <sqlite3.h>

#include "allocator.h"
#include "lexer.h"
#include "store.h"

/* How long to wait for other processes. */
#define BUSY_MS 10000

struct sqlite {
	char *path;
	sqlite3 *db; /* NULL: not open */
	bool is_entered;
};

/* What SQLite means, as an errno. */
static int
error_of(sqlite3 *db, int code)
{
	int number = db == NULL ? 0 : sqlite3_system_errno(db);

	switch (code & 0xff) {
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return -EACCES;
	case SQLITE_CANTOPEN:
		return number > 0 ? -number : -ENOENT;
	case SQLITE_TOOBIG:
		return -EMSGSIZE;
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
		return -EUCLEAN;
	default:
		return number > 0 ? -number : -EIO;
	}
}

static int
open_sqlite(const char *where, void **ret_state)
{
	struct sqlite *sqlite;

	if (where[0] == '\0')
		return -EINVAL;
	sqlite = rota__calloc(sizeof(*sqlite));
	if (sqlite == NULL)
		return -ENOMEM;
	sqlite->path = rota__copy_text(where, strlen(where));
	if (sqlite->path == NULL) {
		rota__free(sqlite);
		return -ENOMEM;
	}
	*ret_state = sqlite;
	return 0;
}

static void
close_sqlite(void *state)
{
	struct sqlite *sqlite = state;

	rota__free(sqlite->path);
	rota__free(sqlite);
}

static void
disconnect(struct sqlite *sqlite)
{
	(void)sqlite3_close(sqlite->db);
	sqlite->db = NULL;
}

static int
connect_db(struct sqlite *sqlite)
{
	int code;

	if (sqlite->db != NULL)
		return 0;
	code = sqlite3_open_v2(sqlite->path, &sqlite->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_busy_timeout(sqlite->db, BUSY_MS);
	if (code == SQLITE_OK)
		code = sqlite3_exec(sqlite->db,
			"CREATE TABLE IF NOT EXISTS rota_store ("
			"key TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL) WITHOUT ROWID",
			NULL, NULL, NULL);
	if (code != SQLITE_OK) {
		int r = error_of(sqlite->db, code);

		disconnect(sqlite);
		return r;
	}
	return 0;
}

static int
enter(void *state)
{
	struct sqlite *sqlite = state;
	int r = connect_db(sqlite);

	sqlite->is_entered = r == 0;
	return r;
}

static void
leave(void *state)
{
	struct sqlite *sqlite = state;

	disconnect(sqlite);
	sqlite->is_entered = false;
}

static void
forked(void *state)
{
	((struct sqlite *)state)->db = NULL;
}

/* A statement with the key, and values, as its parameters. */
static int
prepare(struct sqlite *sqlite, const char *text, const char *key, const struct rota_bytes *one,
	const struct rota_bytes *two, sqlite3_stmt **ret_statement)
{
	const struct rota_bytes *values[] = { one, two };
	sqlite3_stmt *statement = NULL;
	int code, r = connect_db(sqlite);

	if (r < 0)
		return r;
	code = sqlite3_prepare_v2(sqlite->db, text, -1, &statement, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
	for (int i = 0; code == SQLITE_OK && i < 2; i++) {
		if (values[i] != NULL)
			code = sqlite3_bind_blob64(statement, i + 2,
				values[i]->len == 0 ? "" : values[i]->bytes, values[i]->len,
				SQLITE_STATIC);
	}
	if (code != SQLITE_OK) {
		(void)sqlite3_finalize(statement);
		return error_of(sqlite->db, code);
	}
	*ret_statement = statement;
	return 0;
}

/* Returns how many entries it changed. */
static int
change(struct sqlite *sqlite, const char *text, const char *key, const struct rota_bytes *one,
	const struct rota_bytes *two)
{
	sqlite3_stmt *statement = NULL;
	int code, r = prepare(sqlite, text, key, one, two, &statement);

	if (r < 0)
		return r;
	code = sqlite3_step(statement);
	r = code == SQLITE_DONE ? sqlite3_changes(sqlite->db) : error_of(sqlite->db, code);
	(void)sqlite3_finalize(statement);
	return r;
}

static int
get(void *state, const char *key, struct rota_buffer *value)
{
	struct sqlite *sqlite = state;
	sqlite3_stmt *statement = NULL;
	int code, r;

	r = prepare(sqlite, "SELECT value FROM rota_store WHERE key = ?1", key, NULL, NULL,
		&statement);
	if (r < 0)
		return r;
	code = sqlite3_step(statement);
	if (code == SQLITE_ROW) {
		const void *bytes = sqlite3_column_blob(statement, 0);

		r = rota_buffer_add(value, bytes == NULL ? "" : bytes,
			(size_t)sqlite3_column_bytes(statement, 0));
	} else {
		r = code == SQLITE_DONE ? -ENOENT : error_of(sqlite->db, code);
	}
	(void)sqlite3_finalize(statement);
	return r;
}

static int
put(void *state, const char *key, const struct rota_bytes *value)
{
	int r = change(state,
		"INSERT INTO rota_store (key, value) VALUES (?1, ?2) "
		"ON CONFLICT (key) DO UPDATE SET value = excluded.value",
		key, value, NULL);

	return r < 0 ? r : 0;
}

static int
remove_entry(void *state, const char *key)
{
	int r = change(state, "DELETE FROM rota_store WHERE key = ?1", key, NULL, NULL);

	if (r < 0)
		return r;
	return r == 0 ? -ENOENT : 0;
}

static int
compare_and_set(void *state, const char *key, const struct rota_bytes *expected,
	const struct rota_bytes *value)
{
	int r;

	if (expected == NULL)
		r = change(state,
			"INSERT INTO rota_store (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO NOTHING",
			key, value, NULL);
	else
		r = change(state, "UPDATE rota_store SET value = ?2 WHERE key = ?1 AND value = ?3",
			key, value, expected);
	if (r < 0)
		return r;
	return r == 0 ? -ESTALE : 0;
}

static int
list(void *state, const char *prefix, rota_store_list_fn *on_entry, void *userdata)
{
	struct sqlite *sqlite = state;
	size_t len = strlen(prefix);
	sqlite3_stmt *statement = NULL;
	int code = SQLITE_DONE, r;

	r = prepare(sqlite, "SELECT key, value FROM rota_store WHERE key >= ?1 ORDER BY key",
		prefix, NULL, NULL, &statement);
	if (r < 0)
		return r;
	while (r == 0) {
		const char *key;
		struct rota_bytes value;

		code = sqlite3_step(statement);
		if (code != SQLITE_ROW)
			break;
		key = (const char *)sqlite3_column_text(statement, 0);
		if (key == NULL || strncmp(key, prefix, len) != 0) {
			code = key == NULL ? SQLITE_NOMEM : SQLITE_DONE;
			break;
		}
		value.bytes = sqlite3_column_blob(statement, 1);
		value.len = (size_t)sqlite3_column_bytes(statement, 1);
		r = on_entry(key, &value, userdata);
	}
	if (r == 0 && code != SQLITE_DONE)
		r = error_of(sqlite->db, code);
	(void)sqlite3_finalize(statement);
	return r;
}

static const char *const aliases[] = { "sqlite", NULL };
const struct rota_store_kind rota__store_sqlite = {
	.size = sizeof(rota__store_sqlite),
	.aliases = aliases,
	.summary = "A file, for several processes: sqlite:PATH",
	.open = open_sqlite,
	.close = close_sqlite,
	.enter = enter,
	.leave = leave,
	.forked = forked,
	.get = get,
	.put = put,
	.remove = remove_entry,
	.list = list,
	.compare_and_set = compare_and_set,
};
