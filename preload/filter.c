/* SPDX-License-Identifier: MIT */
/*
 * Rules to BPF: find each call's verdict (its leaf), cut the number space into segments with
 * one leaf each, try decision trees of several shapes and keep the program that executes the
 * fewest instructions, weighted by how often each call is made.
 */
#include "emit.h"
#include "tree.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>

#define OFFSET_NR 0 /* offsetof(struct seccomp_data, nr) */
#define OFFSET_ARCH 4

#define WEIGHT_COUNT 1024 /* of one call in `counts`; a named call without a count has 1 */
#define WEIGHT_RANK (1 << 20) /* of the first name when there are no counts, the n-th has 1/n */
#define WEIGHT_UNNAMED 16 /* of any other call, where the policy is a list of what is denied */

/* What happens to a call: the first rule whose conditions hold, else `action`. */
struct leaf {
	const struct rule **rules;
	unsigned int n_rules;
	uint32_t action;
	unsigned int at; /* in the program under construction */
	bool placed;
};

struct work {
	const struct rules *rules;
	struct arena *arena;
	struct leaf *leaves;
	struct segment *segments, *spare_segments;
	struct key *keys, *spare_keys;
	unsigned int n_leaves, n_segments, n_keys;
	struct arena nodes;
	struct insn *insns; /* of the next attempt */
	struct program best;
	uint64_t best_cost; /* UINT64_MAX: nothing fits so far */
	uint64_t detours; /* of the attempt: weight times `ja` passed */
};

static unsigned int max_keys(void)
{
	return 2 * arch_call_count() + 2; /* each call and the single number before it */
}

static unsigned int max_segments(void)
{
	return 2 * arch_call_count() + 4;
}

static unsigned int max_nodes(void)
{
	return 2 * max_segments() + 2 * max_keys();
}

static bool applies(const struct rule *rule)
{
	return !rule->never && !rule->excluded;
}

/* Take the rules up to the first that always matches, without those that change nothing. */
static int fill_leaf(struct work *work, const struct entry *entry, struct leaf *leaf)
{
	unsigned int n = 0;

	*leaf = (struct leaf){.action = work->rules->default_action};
	for (const struct entry *next = entry; next; next = next->next)
		n++;
	if (!n)
		return 0;
	leaf->rules = arena_take(work->arena, n, sizeof(struct rule *));
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
static int intern_leaf(struct work *work, const struct leaf *leaf)
{
	for (unsigned int i = 0; i < work->n_leaves; i++) {
		const struct leaf *other = &work->leaves[i];

		if (other->action == leaf->action && other->n_rules == leaf->n_rules &&
		    (!leaf->n_rules ||
		     !memcmp(other->rules, leaf->rules, leaf->n_rules * sizeof(*leaf->rules))))
			return i;
	}
	work->leaves[work->n_leaves] = *leaf;
	return work->n_leaves++;
}

static int leaf_of(struct work *work, const struct entry *entry)
{
	struct leaf leaf;
	struct arena before = *work->arena;
	unsigned int n = work->n_leaves;
	int index, ret = fill_leaf(work, entry, &leaf);

	if (ret)
		return ret;
	index = intern_leaf(work, &leaf);
	if (work->n_leaves == n)
		*work->arena = before; /* known already: its list is not needed again */
	return index;
}

static uint64_t weight_of(const struct rules *rules, const struct call *call, bool denies)
{
	if (rules->counted)
		return (uint64_t)call->count * WEIGHT_COUNT + !!call->first;
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
static int make_keys(struct work *work)
{
	const struct rules *rules = work->rules;
	uint32_t action = rules->default_action & SECCOMP_RET_ACTION_FULL;
	bool denies = !rules->counted && (action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG);
	unsigned int n = 0;

	for (unsigned int i = 0; i < arch_call_count(); i++) {
		struct call *call = &rules->calls[i];
		uint32_t number = arch_number(rules->arch, i);

		/* the leaf is the call's index until the numbers are known to differ */
		if (number != ARCH_NO_CALL && (call->first || call->count || denies))
			work->keys[n++] = (struct key){.number = number, .leaf = i};
	}
	sort_keys(work->keys, n);
	for (unsigned int i = 0; i < n; i++) {
		struct key *key = &work->keys[i];
		struct call *call = &rules->calls[key->leaf];
		int leaf;

		if (work->n_keys && work->keys[work->n_keys - 1].number == key->number)
			continue;
		for (unsigned int j = i + 1; j < n && work->keys[j].number == key->number; j++)
			merge_entries(call, &rules->calls[work->keys[j].leaf]);
		leaf = leaf_of(work, call->first);
		if (leaf < 0)
			return leaf;
		key->leaf = leaf;
		key->weight = weight_of(rules, call, denies);
		work->keys[work->n_keys++] = *key;
	}
	return 0;
}

static void add_segment(struct work *work, uint32_t first, uint64_t end, uint32_t leaf,
			uint64_t weight)
{
	uint64_t left = end - first;
	struct segment *segment = &work->segments[work->n_segments];

	if (work->n_segments && segment[-1].leaf == leaf) {
		segment--;
		left += segment->left;
		segment->weight += weight;
	} else {
		*segment = (struct segment){.first = first, .leaf = leaf, .weight = weight};
		work->n_segments++;
	}
	segment->left = left < UINT32_MAX ? left : UINT32_MAX;
}

/* All numbers in order: keys, what is between them, and what another ABI has. */
static int make_segments(struct work *work)
{
	uint32_t foreign = work->rules->arch->first_foreign;
	struct leaf kill = {.action = SECCOMP_RET_KILL_PROCESS};
	uint64_t end = foreign ? foreign : (uint64_t)1 << 32, next = 0;
	unsigned int n = work->n_keys;
	int otherwise = leaf_of(work, NULL);

	if (otherwise < 0)
		return otherwise;
	for (unsigned int i = 0; i < n; i++) {
		const struct key *key = &work->keys[i];

		if (key->number > next)
			add_segment(work, next, key->number, otherwise, 0);
		if (key->number == next + 1) /* may turn out to be a segment of its own */
			work->keys[work->n_keys++] =
				(struct key){.number = next, .leaf = otherwise};
		next = (uint64_t)key->number + 1;
		add_segment(work, key->number, next, key->leaf, key->weight);
	}
	sort_keys(work->keys, work->n_keys);
	add_segment(work, next, end, otherwise, 0);
	if (foreign)
		add_segment(work, foreign, (uint64_t)1 << 32, intern_leaf(work, &kill), 0);
	return 0;
}

static unsigned int emit_leaf(struct work *work, struct program *program, unsigned int index)
{
	struct leaf *leaf = &work->leaves[index];

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
	unsigned int at, kill;

	at = emit_tree(work, program, root);
	if (root->kind != NODE_LEAF) /* else the number makes no difference */
		at = emit_load(program, OFFSET_NR);
	kill = emit_return(program, SECCOMP_RET_KILL_PROCESS);
	emit_jump(program, BPF_JMP | BPF_JEQ | BPF_K, work->rules->arch->audit, at, kill);
	emit_load(program, OFFSET_ARCH);
}

/* One attempt. Kept if it is cheaper than the best so far, or as cheap and shorter. */
static int attempt(struct work *work, struct shape shape, bool leaves_first)
{
	struct tree tree = {.arena = work->nodes, .shape = shape};
	struct program program;
	struct node *root;
	uint64_t cost;

	memcpy(work->spare_segments, work->segments, work->n_segments * sizeof(*work->segments));
	memcpy(work->spare_keys, work->keys, work->n_keys * sizeof(*work->keys));
	root = tree_build(&tree, work->spare_segments, work->n_segments, work->spare_keys,
			  work->n_keys);
	if (!root)
		return -ENOMEM;
	if (tree.cost > work->best_cost) /* detours only add to it */
		return 0;
	work->detours = 0;
	for (unsigned int i = 0; i < work->n_leaves; i++)
		work->leaves[i].placed = false;
	program_start(&program, work->rules->arch, work->insns);
	for (unsigned int i = 0; leaves_first && i < work->n_leaves; i++)
		if (work->leaves[i].n_rules)
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

/* How many of the heaviest keys to test first: each small number, then ever larger ones, then all. */
static unsigned int next_count(unsigned int count, unsigned int all)
{
	if (count >= all)
		return all + 1;
	count += 1 + count / 4;
	return count < all ? count : all;
}

static int search(struct work *work)
{
	static const unsigned int shares[] = {0, 2, 3, 4, 5};
	const unsigned int n_shares = sizeof(shares) / sizeof(shares[0]);
	bool conditions = false;
	int ret;

	for (unsigned int i = 0; i < work->n_leaves; i++)
		conditions |= work->leaves[i].n_rules > 0;
	for (unsigned int first = 0; first <= conditions; first++) {
		ret = attempt(work, (struct shape){.by_count = true}, first);
		for (unsigned int i = 0; !ret && i < n_shares; i++)
			for (unsigned int k = 0; !ret && k <= work->n_keys;
			     k = next_count(k, work->n_keys))
				ret = attempt(work,
					      (struct shape){.equal_first = k, .share = shares[i]},
					      first);
		if (ret)
			return ret;
	}
	return 0;
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

static bool take_memory(struct work *work)
{
	struct arena *arena = work->arena;
	size_t nodes = max_nodes() * sizeof(struct node);

	work->leaves = arena_take(arena, arch_call_count() + 2, sizeof(*work->leaves));
	work->segments = arena_take(arena, max_segments(), sizeof(*work->segments));
	work->spare_segments = arena_take(arena, max_segments(), sizeof(*work->segments));
	work->keys = arena_take(arena, max_keys(), sizeof(*work->keys));
	work->spare_keys = arena_take(arena, max_keys(), sizeof(*work->keys));
	work->nodes.free = arena_take(arena, nodes, 1);
	work->nodes.left = nodes;
	work->insns = arena_take(arena, POLICY_MAX_INSNS, sizeof(*work->insns));
	work->best.insns = arena_take(arena, POLICY_MAX_INSNS, sizeof(*work->insns));
	return work->leaves && work->segments && work->spare_segments && work->keys &&
	       work->spare_keys && work->nodes.free && work->insns && work->best.insns;
}

size_t filter_arena_bytes(void)
{
	return (arch_call_count() + 2) * sizeof(struct leaf) +
	       2 * max_segments() * sizeof(struct segment) + 2 * max_keys() * sizeof(struct key) +
	       max_nodes() * sizeof(struct node) + 2 * POLICY_MAX_INSNS * sizeof(struct insn) +
	       8 * ARENA_ALIGN;
}

int filter_build(const struct rules *rules, struct arena *arena, unsigned char *code,
		 size_t code_size, struct policy_result *result)
{
	struct work work = {.rules = rules, .arena = arena, .best_cost = UINT64_MAX};
	int ret = take_memory(&work) ? 0 : -ENOMEM;

	if (!ret)
		ret = make_keys(&work);
	if (!ret)
		ret = make_segments(&work);
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
