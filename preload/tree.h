/* SPDX-License-Identifier: MIT */
/*
 * Decision trees over system call numbers. The number space is cut into segments that share a
 * verdict (a leaf); a tree asks "at least k?" between segments and "equal to k?" for single
 * numbers that are called often.
 */
#ifndef STOCKADE_TREE_H
#define STOCKADE_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"

/* From `first` up to the next segment's first. */
struct segment {
	uint32_t first;
	uint32_t leaf;
	uint32_t left; /* numbers in it that no equality test has dealt with */
	uint64_t weight;
};

/* A number worth an equality test. */
struct key {
	uint32_t number;
	uint32_t leaf;
	uint64_t weight;
	bool gone; /* dealt with by an equality test above */
};

enum node_kind { NODE_LEAF, NODE_EQUAL, NODE_AT_LEAST };

struct node {
	struct node *yes, *no;
	struct node *up; /* for walks along a chain of equality tests */
	uint64_t weight;
	uint32_t k; /* of a leaf: its number */
	uint32_t size; /* inner nodes from here on */
	uint8_t kind;
};

/* What distinguishes one attempt from another. */
struct shape {
	unsigned int equal_first; /* so many of the heaviest keys are tested before all else */
	unsigned int
		share; /* in the tree, a key with 1/share of the weight is tested first; 0: none */
	bool by_count; /* halve by number of segments instead of by weight */
};

struct tree {
	struct arena arena; /* for nodes */
	struct shape shape;
	const uint16_t *order; /* indexes of the keys, heaviest first */
	uint64_t cost; /* weight times inner nodes passed */
	uint64_t limit; /* give up when the cost is above this */
	bool failed; /* gave up, or out of memory */
};

/*
 * Build a tree of the given shape, or NULL; both arrays are sorted by number and used up. Every number
 * that a segment consists of alone must be a key.
 */
struct node *tree_build(struct tree *tree, struct segment *segments, unsigned int n_segments,
			struct key *keys, unsigned int n_keys);

#endif
