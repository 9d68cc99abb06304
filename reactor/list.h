/* SPDX-License-Identifier: MIT */
/*
 * Circular doubly linked lists of embedded links. A list is a link that is its own head; a link
 * that is in no list has both pointers NULL, so membership needs no flag and removal no list.
 */
#ifndef ROTA_PRIVATE_LIST_H
#define ROTA_PRIVATE_LIST_H

#include <rota/api.h>
#include <rota/list.h>

static inline void
rota__list_init(struct rota_link *list)
{
	list->next = list->previous = list;
}

static inline bool
rota__list_is_empty(const struct rota_link *list)
{
	return list->next == list;
}

static inline bool
rota__link_is_listed(const struct rota_link *link)
{
	return link->next != NULL;
}

static inline void
rota__list_append(struct rota_link *list, struct rota_link *link)
{
	struct rota_link *last = list->previous;

	link->next = list;
	last->next = link;
	link->previous = last;
	list->previous = link;
}

/* Nothing, if it is in no list. */
static inline void
rota__list_remove(struct rota_link *link)
{
	if (link->next == NULL)
		return;
	link->previous->next = link->next;
	link->next->previous = link->previous;
	link->next = link->previous = NULL;
}

/* The first link of a list that is not empty, removed. */
static inline struct rota_link *
rota__list_take(struct rota_link *list)
{
	struct rota_link *link = list->next;

	list->next = link->next;
	link->next->previous = list;
	link->next = link->previous = NULL;
	return link;
}

/* The first link, removed; NULL when the list is empty. */
static inline struct rota_link *
rota__list_pop(struct rota_link *list)
{
	return rota__list_is_empty(list) ? NULL : rota__list_take(list);
}

/* Moves all links of from before those of list. */
static inline void
rota__list_prepend_all(struct rota_link *list, struct rota_link *from)
{
	if (rota__list_is_empty(from))
		return;
	from->previous->next = list->next;
	list->next->previous = from->previous;
	list->next = from->next;
	from->next->previous = list;
	rota__list_init(from);
}

#endif
