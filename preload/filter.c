/* SPDX-License-Identifier: MIT */
/*
 * Rules to BPF: try decision trees of several shapes over the number space (space.h) and keep
 * the program that executes the fewest instructions, weighted by how often each call is made.
 */
#include "emit.h"
#include "space.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>

#define OFFSET_NR 0 /* offsetof(struct seccomp_data, nr) */
#define OFFSET_ARCH 4

struct work {
	struct space space;
	struct segment *segments; /* the attempt's own copy */
	struct key *keys;
	struct arena nodes;
	struct insn *insns; /* of the next attempt */
	struct program best;
	uint64_t best_cost; /* UINT64_MAX: nothing fits so far */
	uint64_t detours; /* of the attempt: weight times `ja` passed */
};

static unsigned int max_nodes(void)
{
	return 2 * space_max_segments() + 2 * space_max_keys();
}

static unsigned int emit_leaf(struct work *work, struct program *program, unsigned int index)
{
	struct leaf *leaf = &work->space.leaves[index];

	if (!leaf->n_rules)
		return emit_return(program, leaf->action);
	if (!leaf->placed) {
		leaf->at = emit_rules(program, leaf->rules, leaf->n_rules, leaf->action);
		leaf->placed = true;
	}
	return leaf->at;
}

static unsigned int emit_test(struct work *work, struct program *program, const struct node *node,
			      uint16_t op, unsigned int yes, unsigned int no)
{
	unsigned int at = emit_jump(program, BPF_JMP | BPF_K | op, node->k, yes, no);

	if (program->detour[0])
		work->detours += node->yes->weight;
	if (program->detour[1])
		work->detours += node->no->weight;
	return at;
}

/* Recursion only where a split halves; a chain of equality tests is walked. */
static unsigned int emit_tree(struct work *work, struct program *program, const struct node *node)
{
	unsigned int at, yes;

	while (node->kind == NODE_EQUAL)
		node = node->no;
	if (node->kind == NODE_LEAF) {
		at = emit_leaf(work, program, node->k);
	} else if (node->yes->size > node->no->size) { /* the smaller is jumped over */
		yes = emit_tree(work, program, node->yes);
		at = emit_tree(work, program, node->no);
		at = emit_test(work, program, node, BPF_JGE, yes, at);
	} else {
		at = emit_tree(work, program, node->no);
		yes = emit_tree(work, program, node->yes);
		at = emit_test(work, program, node, BPF_JGE, yes, at);
	}
	for (node = node->up; node; node = node->up) {
		yes = emit_leaf(work, program, node->yes->k);
		at = emit_test(work, program, node, BPF_JEQ, yes, at);
	}
	return at;
}

static void emit_program(struct work *work, struct program *program, const struct node *root)
{
	const uint32_t audit = work->space.rules->arch->audit;
	unsigned int at, kill;

	at = emit_tree(work, program, root);
	if (root->kind != NODE_LEAF) /* else the number makes no difference */
		at = emit_load(program, OFFSET_NR, at);
	kill = emit_return(program, work->space.rules->foreign_action);
	at = emit_jump(program, BPF_JMP | BPF_JEQ | BPF_K, audit, at, kill);
	emit_load(program, OFFSET_ARCH, at);
}

/* One attempt. Kept if it is cheaper than the best so far, or as cheap and shorter. */
static int attempt(struct work *work, struct shape shape, bool leaves_first)
{
	struct space *space = &work->space;
	struct tree tree = {
		.arena = work->nodes,
		.shape = shape,
		.order = space->order,
		.limit = work->best_cost,
	};
	struct program program;
	struct node *root;
	uint64_t cost;

	memcpy(work->segments, space->segments, space->n_segments * sizeof(*space->segments));
	memcpy(work->keys, space->keys, space->n_keys * sizeof(*space->keys));
	root = tree_build(&tree, work->segments, space->n_segments, work->keys, space->n_keys);
	if (!root) /* what it costs already is too much; detours would only add to it */
		return tree.cost > tree.limit ? 0 : -ENOMEM;
	work->detours = 0;
	for (unsigned int i = 0; i < work->space.n_leaves; i++)
		work->space.leaves[i].placed = false;
	program_start(&program, work->space.rules->arch, work->insns);
	for (unsigned int i = 0; leaves_first && i < work->space.n_leaves; i++)
		if (work->space.leaves[i].n_rules)
			emit_leaf(work, &program, i);
	emit_program(work, &program, root);
	cost = tree.cost + work->detours;
	if (program.full || cost > work->best_cost ||
	    (cost == work->best_cost && program.at <= work->best.at))
		return 0;
	work->insns = work->best.insns;
	work->best = program;
	work->best_cost = cost;
	return 0;
}

/* How many of the heaviest keys to test first: none, 1, 2, 4 and so on, then all. */
static unsigned int next_count(unsigned int count, unsigned int all)
{
	if (count >= all)
		return all + 1;
	count = count ? 2 * count : 1;
	return count < all ? count : all;
}

/* Shapes in an order that finds a good one early, because a worse one is dropped half built. */
static int search_shapes(struct work *work, bool leaves_first)
{
	int ret = 0;

	for (unsigned int i = 0; !ret && i < 4; i++) {
		static const unsigned char shares[] = {3, 2, 4, 5};

		ret = attempt(work, (struct shape){.share = shares[i]}, leaves_first);
	}
	for (unsigned int k = 0; !ret && k <= work->space.n_keys;
	     k = next_count(k, work->space.n_keys))
		ret = attempt(work, (struct shape){.equal_first = k}, leaves_first);
	return ret ? ret : attempt(work, (struct shape){.by_count = true}, leaves_first);
}

static int search(struct work *work)
{
	bool conditions = false;
	int ret = search_shapes(work, false);

	for (unsigned int i = 0; i < work->space.n_leaves; i++)
		conditions |= work->space.leaves[i].n_rules > 0;
	return ret || !conditions ? ret : search_shapes(work, true);
}

static void put_bytes(unsigned char *out, uint32_t value, unsigned int bytes, bool big_endian)
{
	for (unsigned int i = 0; i < bytes; i++)
		out[big_endian ? bytes - 1 - i : i] = value >> (8 * i);
}

/* struct sock_filter in the byte order of the target. */
static int write_code(const struct program *program, unsigned char *code, size_t code_size,
		      struct policy_result *result)
{
	bool big = program->arch->big_endian;
	unsigned int n = POLICY_MAX_INSNS - program->at;

	if (code_size / 8 < n) {
		message_join(result->message, sizeof(result->message),
			     "the buffer for the filter is too small", (const char *)NULL);
		return -ENOMEM;
	}
	for (unsigned int i = 0; i < n; i++) {
		const struct insn *insn = &program->insns[program->at + i];

		put_bytes(code + 8 * i, insn->code, 2, big);
		code[8 * i + 2] = insn->jt;
		code[8 * i + 3] = insn->jf;
		put_bytes(code + 8 * i + 4, insn->k, 4, big);
	}
	result->n_insns = n;
	return 0;
}

static bool take_memory(struct work *work, struct arena *arena)
{
	size_t nodes = max_nodes() * sizeof(struct node);

	work->segments = arena_take(arena, space_max_segments(), sizeof(*work->segments));
	work->keys = arena_take(arena, space_max_keys(), sizeof(*work->keys));
	work->nodes.free = arena_take(arena, nodes, 1);
	work->nodes.left = nodes;
	work->insns = arena_take(arena, POLICY_MAX_INSNS, sizeof(*work->insns));
	work->best.insns = arena_take(arena, POLICY_MAX_INSNS, sizeof(*work->insns));
	return work->segments && work->keys && work->nodes.free && work->insns && work->best.insns;
}

size_t filter_arena_bytes(void)
{
	return space_arena_bytes() + space_max_segments() * sizeof(struct segment) +
	       space_max_keys() * sizeof(struct key) + max_nodes() * sizeof(struct node) +
	       2 * POLICY_MAX_INSNS * sizeof(struct insn) + 8 * ARENA_ALIGN;
}

int filter_build(const struct rules *rules, struct arena *arena, unsigned char *code,
		 size_t code_size, struct policy_result *result)
{
	struct work work = {.best_cost = UINT64_MAX};
	int ret = take_memory(&work, arena) ? 0 : -ENOMEM;

	if (!ret)
		ret = space_make(&work.space, rules, arena);
	if (!ret)
		ret = search(&work);
	if (ret)
		return refuse_memory(result);
	if (work.best_cost == UINT64_MAX) {
		message_join(
			result->message, sizeof(result->message),
			"the filter needs more than the 4096 instructions that the kernel takes",
			(const char *)NULL);
		return -E2BIG;
	}
	return write_code(&work.best, code, code_size, result);
}
