/* SPDX-License-Identifier: MIT */
/*
 * Rules to leaves, keys and segments: follow each call through the rules that name it, then
 * cut the number space where the verdict changes.
 */
#include "space.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>

#define WEIGHT_COUNT 1024 /* of one call in `counts`; a named call without a count has 1 */
#define WEIGHT_RANK (1 << 20) /* of the first name when there are no counts, the n-th has 1/n */
#define WEIGHT_UNNAMED 16 /* of any other call, where the policy is a list of what is denied */

#define COUNT_BITS 31

unsigned int space_max_keys(void)
{
	return 2 * arch_call_count() + 2; /* each call and the single number before it */
}

unsigned int space_max_segments(void)
{
	return 2 * arch_call_count() + 4;
}

static bool applies(const struct rule *rule)
{
	return !rule->never && !rule->excluded;
}

/* Take the rules up to the first that always matches, without those that change nothing. */
static int fill_leaf(struct space *space, const struct entry *entry, struct leaf *leaf)
{
	unsigned int n = 0;

	*leaf = (struct leaf){.action = space->rules->default_action};
	for (const struct entry *next = entry; next; next = next->next)
		n++;
	if (!n)
		return 0;
	leaf->rules = arena_take(space->arena, n, sizeof(struct rule *));
	if (!leaf->rules)
		return -ENOMEM;
	for (; entry; entry = entry->next) {
		if (!applies(entry->rule))
			continue;
		if (!entry->rule->n_conditions) {
			leaf->action = entry->rule->action;
			break;
		}
		leaf->rules[leaf->n_rules++] = entry->rule;
	}
	while (leaf->n_rules && leaf->rules[leaf->n_rules - 1]->action == leaf->action)
		leaf->n_rules--;
	return 0;
}

/* The index of a leaf with these rules, a new one if there is none yet; or -ENOMEM. */
static int intern_leaf(struct space *space, const struct leaf *leaf)
{
	for (unsigned int i = 0; i < space->n_leaves; i++) {
		const struct leaf *other = &space->leaves[i];

		if (other->action == leaf->action && other->n_rules == leaf->n_rules &&
		    (!leaf->n_rules ||
		     !memcmp(other->rules, leaf->rules, leaf->n_rules * sizeof(*leaf->rules))))
			return i;
	}
	space->leaves[space->n_leaves] = *leaf;
	return space->n_leaves++;
}

static int leaf_of(struct space *space, const struct entry *entry)
{
	struct leaf leaf;
	struct arena before = *space->arena;
	unsigned int n = space->n_leaves;
	int index, ret = fill_leaf(space, entry, &leaf);

	if (ret)
		return ret;
	index = intern_leaf(space, &leaf);
	if (space->n_leaves == n)
		*space->arena = before; /* known already: its list is not needed again */
	return index;
}

static uint64_t weight_of(const struct space *space, const struct call *call, bool denies)
{
	if (space->rules->counted)
		return (call->count >> space->shift) * WEIGHT_COUNT + (call->first || call->count);
	if (denies)
		return call->first ? 1 : WEIGHT_UNNAMED;
	return call->rank ? WEIGHT_RANK / call->rank + 1 : !!call->first;
}

/* Two names of one number (arm has such a pair): their rules in one list. */
static void merge_entries(struct call *into, struct call *from)
{
	struct entry **link = &into->first, *entry = from->first;

	while (entry) {
		struct entry *next = entry->next;

		while (*link && (*link)->rule->order < entry->rule->order)
			link = &(*link)->next;
		entry->next = *link;
		*link = entry;
		entry = next;
	}
	from->first = NULL;
	if (!into->rank || (from->rank && from->rank < into->rank))
		into->rank = from->rank;
	into->count += from->count;
}

/* Shell's sort, for libc's qsort may ask for memory, and the shim has none to give. */
static void sort_keys(struct key *keys, unsigned int n)
{
	unsigned int gap = 1;

	while (gap < n / 3)
		gap = gap * 3 + 1;
	for (; gap; gap /= 3) {
		for (unsigned int i = gap; i < n; i++) {
			struct key key = keys[i];
			unsigned int j = i;

			for (; j >= gap && keys[j - gap].number > key.number; j -= gap)
				keys[j] = keys[j - gap];
			keys[j] = key;
		}
	}
}

/* A key for each call that a rule names or a count weighs, sorted by number. */
static int make_keys(struct space *space)
{
	const struct rules *rules = space->rules;
	uint32_t action = rules->default_action & SECCOMP_RET_ACTION_FULL;
	bool denies = !rules->counted && (action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG);
	unsigned int n = 0;

	for (unsigned int i = 0; i < arch_call_count(); i++) {
		struct call *call = &rules->calls[i];
		uint32_t number = arch_number(rules->arch, i);

		/* the leaf is the call's index until the numbers are known to differ */
		if (number != ARCH_NO_CALL && (call->first || call->count || denies))
			space->keys[n++] = (struct key){.number = number, .leaf = i};
	}
	sort_keys(space->keys, n);
	for (unsigned int i = 0; i < n; i++) {
		struct key *key = &space->keys[i];
		struct call *call = &rules->calls[key->leaf];
		int leaf;

		if (space->n_keys && space->keys[space->n_keys - 1].number == key->number)
			continue;
		for (unsigned int j = i + 1; j < n && space->keys[j].number == key->number; j++)
			merge_entries(call, &rules->calls[space->keys[j].leaf]);
		leaf = leaf_of(space, call->first);
		if (leaf < 0)
			return leaf;
		key->leaf = leaf;
		key->weight = weight_of(space, call, denies);
		space->keys[space->n_keys++] = *key;
	}
	return 0;
}

static void add_segment(struct space *space, uint32_t first, uint64_t end, uint32_t leaf,
			uint64_t weight)
{
	uint64_t left = end - first;
	struct segment *segment = &space->segments[space->n_segments];

	if (space->n_segments && segment[-1].leaf == leaf) {
		segment--;
		left += segment->left;
		segment->weight += weight;
	} else {
		*segment = (struct segment){.first = first, .leaf = leaf, .weight = weight};
		space->n_segments++;
	}
	segment->left = left < UINT32_MAX ? left : UINT32_MAX;
}

/* All numbers in order: keys, what is between them, and what another ABI has. */
static int make_segments(struct space *space)
{
	uint32_t foreign = space->rules->arch->first_foreign;
	struct leaf kill = {.action = space->rules->foreign_action};
	uint64_t end = foreign ? foreign : (uint64_t)1 << 32, next = 0;
	unsigned int n = space->n_keys;
	int otherwise = leaf_of(space, NULL);

	if (otherwise < 0)
		return otherwise;
	for (unsigned int i = 0; i < n; i++) {
		const struct key *key = &space->keys[i];

		if (key->number > next)
			add_segment(space, next, key->number, otherwise, 0);
		if (key->number == next + 1) /* may turn out to be a segment of its own */
			space->keys[space->n_keys++] =
				(struct key){.number = next, .leaf = otherwise};
		next = (uint64_t)key->number + 1;
		add_segment(space, key->number, next, key->leaf, key->weight);
	}
	sort_keys(space->keys, space->n_keys);
	add_segment(space, next, end, otherwise, 0);
	if (foreign)
		add_segment(space, foreign, (uint64_t)1 << 32, intern_leaf(space, &kill), 0);
	return 0;
}

/* Heaviest first; equal ones by number. */
static void sort_order(struct space *space)
{
	const struct key *keys = space->keys;
	unsigned int gap = 1, n = space->n_keys;

	for (unsigned int i = 0; i < n; i++)
		space->order[i] = i;
	while (gap < n / 3)
		gap = gap * 3 + 1;
	for (; gap; gap /= 3) {
		for (unsigned int i = gap; i < n; i++) {
			uint16_t key = space->order[i];
			unsigned int j = i;

			for (; j >= gap && keys[space->order[j - gap]].weight < keys[key].weight;
			     j -= gap)
				space->order[j] = space->order[j - gap];
			space->order[j] = key;
		}
	}
}

size_t space_arena_bytes(void)
{
	return (arch_call_count() + 2) * sizeof(struct leaf) +
	       space_max_segments() * sizeof(struct segment) +
	       space_max_keys() * (sizeof(struct key) + sizeof(uint16_t)) + 4 * ARENA_ALIGN;
}

int space_make(struct space *space, const struct rules *rules, struct arena *arena)
{
	int ret;

	*space = (struct space){.rules = rules, .arena = arena};
	while (rules->most >> space->shift >> COUNT_BITS)
		space->shift++;
	space->leaves = arena_take(arena, arch_call_count() + 2, sizeof(*space->leaves));
	space->segments = arena_take(arena, space_max_segments(), sizeof(*space->segments));
	space->keys = arena_take(arena, space_max_keys(), sizeof(*space->keys));
	space->order = arena_take(arena, space_max_keys(), sizeof(*space->order));
	if (!space->leaves || !space->segments || !space->keys || !space->order)
		return -ENOMEM;
	ret = make_keys(space);
	if (!ret)
		ret = make_segments(space);
	if (!ret)
		sort_order(space);
	return ret;
}
