/* SPDX-License-Identifier: MIT */
/* What all kinds of stores have in common: names, entering and leaving, and limits. */
#include "store.h"

#include <errno.h>
#include <string.h>

#include <rota/registry.h>

#include "allocator.h"
#include "lexer.h"

struct rota_store {
	const struct rota_store_kind *kind;
	void *state;
	unsigned entered;
};

int
rota_store_open(const struct rota_registry *registry, const char *name,
	struct rota_store **ret_store)
{
	size_t len = strcspn(name, ":");
	const char *where = name[len] == ':' ? name + len + 1 : "";
	char *alias = rota__copy_text(name, len);
	struct rota_store *store = rota__calloc(sizeof(*store));
	int r = -ENOMEM;

	if (alias != NULL && store != NULL) {
		store->kind = rota_registry_store(registry, alias);
		r = store->kind == NULL ? -ENOENT : store->kind->open(where, &store->state);
	}
	rota__free(alias);
	if (r < 0) {
		rota__free(store);
		return r;
	}
	*ret_store = store;
	return 0;
}

void
rota_store_close(struct rota_store *store)
{
	if (store == NULL)
		return;
	if (store->entered > 0 && store->kind->leave != NULL)
		store->kind->leave(store->state);
	store->kind->close(store->state);
	rota__free(store);
}

int
rota_store_enter(struct rota_store *store)
{
	int r = 0;

	if (store->entered == 0 && store->kind->enter != NULL)
		r = store->kind->enter(store->state);
	if (r == 0)
		store->entered++;
	return r;
}

void
rota_store_leave(struct rota_store *store)
{
	if (store->entered == 0)
		return;
	store->entered--;
	if (store->entered == 0 && store->kind->leave != NULL)
		store->kind->leave(store->state);
}

void
rota__store_forked(struct rota_store *store)
{
	if (store != NULL && store->kind->forked != NULL)
		store->kind->forked(store->state);
}

static int
check(const struct rota_store *store, const char *key)
{
	size_t len = strlen(key);

	if (store->entered == 0)
		return -ENOTCONN;
	return len == 0 || len > ROTA_STORE_KEY_MAX ? -EINVAL : 0;
}

int
rota_store_get(struct rota_store *store, const char *key, struct rota_buffer *value)
{
	int r = check(store, key);

	return r < 0 ? r : store->kind->get(store->state, key, value);
}

int
rota_store_put(struct rota_store *store, const char *key, const void *bytes, size_t len)
{
	const struct rota_bytes value = { bytes, len };
	int r = check(store, key);

	if (r == 0 && len > ROTA_STORE_VALUE_MAX)
		r = -EMSGSIZE;
	return r < 0 ? r : store->kind->put(store->state, key, &value);
}

int
rota_store_delete(struct rota_store *store, const char *key)
{
	int r = check(store, key);

	return r < 0 ? r : store->kind->remove(store->state, key);
}

int
rota_store_list(struct rota_store *store, const char *prefix, rota_store_list_fn *on_entry,
	void *userdata)
{
	if (store->entered == 0)
		return -ENOTCONN;
	return store->kind->list(store->state, prefix, on_entry, userdata);
}

int
rota_store_compare_and_set(struct rota_store *store, const char *key,
	const struct rota_bytes *expected, const struct rota_bytes *value)
{
	int r = check(store, key);

	if (r == 0 && value->len > ROTA_STORE_VALUE_MAX)
		r = -EMSGSIZE;
	return r < 0 ? r : store->kind->compare_and_set(store->state, key, expected, value);
}

const struct rota_store_kind *const rota__store_kinds[] = {
	&rota__store_memory,
	&rota__store_sqlite,
	NULL,
};
