/* SPDX-License-Identifier: MIT */
/*
 * One decision tree of a given shape, greedily from the top: a key that carries much of the
 * weight is tested for equality, else the segments are halved by weight. filter.c tries several
 * shapes and keeps the cheapest; an optimal tree takes cubic time, which a router has no use for.
 */
#include "tree.h"

#include <stddef.h>
#include <string.h>

#define DEPTH_BY_WEIGHT 40 /* halvings by weight, then by count: bounds the recursion */

/* Part of the number space on its way into a subtree. */
struct part {
	struct segment *segments;
	unsigned int n_segments;
	struct key *keys;
	unsigned int n_keys;
	uint64_t weight;
};

static struct node *new_node(struct tree *tree, enum node_kind kind, uint32_t k, uint64_t weight)
{
	struct node *node = arena_take(&tree->arena, 1, sizeof(*node));

	if (kind != NODE_LEAF)
		tree->cost += weight;
	if (!node || tree->cost > tree->limit) {
		tree->failed = true;
		return NULL;
	}
	*node = (struct node){.kind = kind, .k = k, .weight = weight};
	return node;
}

static struct key *heaviest(const struct part *part)
{
	struct key *best = NULL;

	for (unsigned int i = 0; i < part->n_keys; i++)
		if (!part->keys[i].gone && (!best || part->keys[i].weight > best->weight))
			best = &part->keys[i];
	return best;
}

static void remove_segments(struct part *part, unsigned int index, unsigned int n)
{
	memmove(&part->segments[index], &part->segments[index + n],
		(part->n_segments - index - n) * sizeof(*part->segments));
	part->n_segments -= n;
}

static unsigned int segment_of(const struct part *part, uint32_t number)
{
	unsigned int low = 0, high = part->n_segments;

	while (high - low > 1) {
		unsigned int middle = (low + high) / 2;

		if (part->segments[middle].first <= number)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/*
 * Take a key out. A segment without other numbers is gone with it: nobody asks for its numbers
 * any more, so its neighbours may have them, and become one if their leaves are the same.
 */
static void excise(struct part *part, struct key *key)
{
	unsigned int i = segment_of(part, key->number);
	struct segment *segment = &part->segments[i];

	key->gone = true;
	part->weight -= key->weight;
	segment->weight -= key->weight;
	segment->left--;
	if (segment->left || part->n_segments == 1)
		return;
	if (i == 0) {
		segment[1].first = segment->first;
		remove_segments(part, i, 1);
	} else if (i + 1 < part->n_segments && segment[-1].leaf == segment[1].leaf) {
		segment[-1].weight += segment[1].weight;
		segment[-1].left += segment[1].left;
		remove_segments(part, i, 2);
	} else {
		remove_segments(part, i, 1);
	}
}

/* The one number between two segments of the same leaf: a single test does for all three. */
static struct key *only_key(const struct part *part)
{
	const struct segment *segments = part->segments;

	if (part->n_segments != 3 || segments[1].left != 1 || segments[0].leaf != segments[2].leaf)
		return NULL;
	for (unsigned int i = 0; i < part->n_keys; i++) {
		struct key *key = &part->keys[i];

		if (!key->gone && key->number >= segments[1].first &&
		    key->number < segments[2].first)
			return key;
	}
	return NULL;
}

static struct key *choose_key(struct tree *tree, const struct part *part)
{
	struct key *key;

	if (part->n_segments < 2)
		return NULL;
	if (tree->shape.equal_first) {
		/* still at the top, where the part has all keys */
		key = &part->keys[*tree->order++];
		tree->shape.equal_first--;
		return key;
	}
	key = only_key(part);
	if (key || !tree->shape.share || part->n_segments == 2)
		return key;
	key = heaviest(part);
	return key && key->weight && key->weight >= part->weight / tree->shape.share ? key : NULL;
}

static uint64_t imbalance(uint64_t low, uint64_t all)
{
	uint64_t high = all - low;

	return low > high ? low - high : high - low;
}

/* Index of the segment that starts the upper half. */
static unsigned int choose_split(const struct tree *tree, const struct part *part,
				 unsigned int depth)
{
	unsigned int middle = part->n_segments / 2, best = middle;
	uint64_t low = 0, smallest;

	if (tree->shape.by_count || depth > DEPTH_BY_WEIGHT)
		return middle;
	for (unsigned int i = 0; i < middle; i++)
		low += part->segments[i].weight;
	smallest = imbalance(low, part->weight);
	low = 0;
	for (unsigned int i = 1; i < part->n_segments; i++) {
		low += part->segments[i - 1].weight;
		if (imbalance(low, part->weight) < smallest) {
			smallest = imbalance(low, part->weight);
			best = i;
		}
	}
	return best;
}

static struct node *build(struct tree *tree, struct part part, unsigned int depth);

static struct node *build_split(struct tree *tree, const struct part *part, unsigned int depth)
{
	unsigned int at = choose_split(tree, part, depth), keys = 0;
	uint32_t k = part->segments[at].first;
	struct part low = *part, high = *part;
	struct node *node = new_node(tree, NODE_AT_LEAST, k, part->weight);

	if (!node)
		return NULL;
	while (keys < part->n_keys && part->keys[keys].number < k)
		keys++;
	low.n_segments = at;
	low.n_keys = keys;
	low.weight = 0;
	for (unsigned int i = 0; i < at; i++)
		low.weight += part->segments[i].weight;
	high.segments += at;
	high.n_segments -= at;
	high.keys += keys;
	high.n_keys -= keys;
	high.weight -= low.weight;
	node->yes = build(tree, high, depth + 1);
	node->no = build(tree, low, depth + 1);
	if (tree->failed)
		return NULL;
	node->size = node->yes->size + node->no->size + 1;
	return node;
}

/* Equality tests as long as they pay, then a split or a leaf. */
static struct node *build(struct tree *tree, struct part part, unsigned int depth)
{
	struct node *top = NULL, **link = &top, *node, *last = NULL;
	struct key *key;

	while ((key = choose_key(tree, &part))) {
		node = new_node(tree, NODE_EQUAL, key->number, part.weight);
		if (!node)
			return NULL;
		node->yes = new_node(tree, NODE_LEAF, key->leaf, key->weight);
		if (!node->yes)
			return NULL;
		node->up = last;
		excise(&part, key);
		*link = last = node;
		link = &node->no;
	}
	node = part.n_segments == 1 ? new_node(tree, NODE_LEAF, part.segments[0].leaf, part.weight)
				    : build_split(tree, &part, depth);
	if (tree->failed || !node)
		return NULL;
	*link = node;
	for (; last; last = last->up) {
		last->size = last->no->size + 1;
		last->no->up = last;
	}
	top->up = NULL;
	return top;
}

struct node *tree_build(struct tree *tree, struct segment *segments, unsigned int n_segments,
			struct key *keys, unsigned int n_keys)
{
	struct part part = {
		.segments = segments,
		.n_segments = n_segments,
		.keys = keys,
		.n_keys = n_keys,
	};

	tree->cost = 0;
	tree->failed = false;
	for (unsigned int i = 0; i < n_segments; i++)
		part.weight += segments[i].weight;
	return build(tree, part, 0);
}
