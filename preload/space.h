/* SPDX-License-Identifier: MIT */
/*
 * The number space of a target under a policy: which numbers have which verdict, and how often
 * each call is made.
 */
#ifndef STOCKADE_SPACE_H
#define STOCKADE_SPACE_H

#include "rules.h"
#include "tree.h"

/* What happens to a call: the first rule whose conditions hold, else `action`. */
struct leaf {
	const struct rule **rules;
	unsigned int n_rules;
	uint32_t action;
	unsigned int at; /* in the program under construction */
	bool placed;
};

struct space {
	const struct rules *rules;
	struct arena *arena;
	struct leaf *leaves;
	struct segment *segments; /* sorted, from 0 to 2^32-1 */
	struct key *keys; /* sorted by number */
	uint16_t *order; /* of the keys, heaviest first */
	unsigned int n_leaves, n_segments, n_keys;
	unsigned int shift; /* of the counts, so that sums of weights stay below 2^64 */
};

unsigned int space_max_keys(void);
unsigned int space_max_segments(void);
size_t space_arena_bytes(void);

/* Returns 0 or -ENOMEM. */
int space_make(struct space *space, const struct rules *rules, struct arena *arena);

#endif
