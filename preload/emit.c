/* SPDX-License-Identifier: MIT */
/*
 * Instructions and argument tests. The one place that knows how far a jump reaches: a
 * conditional jump has 8 bits, beyond that it gets a RET of its own or a `ja`.
 */
#include "emit.h"

#include <linux/filter.h>
#include <linux/seccomp.h>

#define REACH 255
#define ARGS 16 /* offsetof(struct seccomp_data, args) */
#define LOAD (BPF_LD | BPF_W | BPF_ABS)
#define RETURN (BPF_RET | BPF_K)
#define JUMP(op) (BPF_JMP | (op) | BPF_K)

void program_start(struct program *program, const struct arch *arch, struct insn *insns)
{
	*program = (struct program){.insns = insns, .arch = arch, .at = POLICY_MAX_INSNS};
}

static unsigned int put(struct program *program, struct insn insn)
{
	if (!program->at) {
		program->full = true;
		return 0;
	}
	program->insns[--program->at] = insn;
	return program->at;
}

/* Where both ways of a test are the same there is no test, and what they lead to may be anywhere. */
unsigned int emit_load(struct program *program, uint32_t offset, unsigned int next)
{
	if (!program->full && next != program->at)
		put(program, (struct insn){.code = BPF_JMP | BPF_JA, .k = next - program->at});
	return put(program, (struct insn){.code = LOAD, .k = offset});
}

static unsigned int put_return(struct program *program, uint32_t action)
{
	unsigned int n = sizeof(program->returns) / sizeof(program->returns[0]);
	unsigned int at = put(program, (struct insn){.code = RETURN, .k = action});

	program->returns[program->n_returns++ % n] = at;
	return at;
}

unsigned int emit_return(struct program *program, uint32_t action)
{
	unsigned int n = sizeof(program->returns) / sizeof(program->returns[0]);

	for (unsigned int i = 0; i < n && i < program->n_returns; i++) {
		unsigned int at = program->returns[i];

		if (program->insns[at].k == action && at - program->at < REACH)
			return at;
	}
	return put_return(program, action);
}

/* `target`, or something in reach that leads there. `spare` instructions may still come before. */
static unsigned int reach(struct program *program, unsigned int target, unsigned int spare,
			  bool *detour)
{
	const struct insn *insn = &program->insns[target];

	*detour = false;
	if (program->full || target - program->at + spare <= REACH)
		return target;
	if (insn->code == RETURN)
		return emit_return(program, insn->k);
	*detour = true;
	return put(program, (struct insn){.code = BPF_JMP | BPF_JA, .k = target - program->at});
}

unsigned int emit_jump(struct program *program, uint16_t code, uint32_t k, unsigned int yes,
		       unsigned int no)
{
	if (yes == no) {
		program->detour[0] = program->detour[1] = false;
		return yes;
	}
	/* the second detour may push the first target one further away */
	yes = reach(program, yes, 1, &program->detour[0]);
	no = reach(program, no, 0, &program->detour[1]);
	if (program->full)
		return 0;
	return put(program, (struct insn){
				    .code = code,
				    .jt = yes - program->at,
				    .jf = no - program->at,
				    .k = k,
			    });
}

/*
 * Where a jump to `target` can really go when the accumulator holds the word at `word` and
 * "the word is k" is known to be `is_k`: past a load of the same word and past a repetition of
 * the same test. Only the very same k: the launcher replaces the constants of the pinned execve
 * later, so nothing may follow from two constants being different.
 */
static unsigned int skip_known(const struct program *program, unsigned int target, uint32_t word,
			       uint32_t k, bool is_k)
{
	const struct insn *insn = &program->insns[target];

	if (program->full || insn->code != LOAD || insn->k != word)
		return target;
	for (;;) {
		target++;
		insn = &program->insns[target];
		if (insn->code != JUMP(BPF_JEQ) || insn->k != k)
			return target;
		target += is_k ? insn->jt : insn->jf;
	}
}

/* Load a word and jump; without the load where both ways turned out to be the same. */
static unsigned int emit_test(struct program *program, uint32_t word, uint16_t code, uint32_t k,
			      unsigned int yes, unsigned int no)
{
	unsigned int at = emit_jump(program, code, k, yes, no);

	return at == program->at ? emit_load(program, word, at) : at;
}

static unsigned int emit_equal(struct program *program, uint32_t word, uint32_t k, unsigned int yes,
			       unsigned int no)
{
	return emit_test(program, word, JUMP(BPF_JEQ), k, skip_known(program, yes, word, k, true),
			 skip_known(program, no, word, k, false));
}

static unsigned int emit_masked(struct program *program, uint32_t word, uint32_t mask, uint32_t k,
				unsigned int yes, unsigned int no)
{
	unsigned int at;

	if (!mask)
		return yes;
	if (mask == UINT32_MAX)
		return emit_equal(program, word, k, yes, no);
	at = emit_jump(program, JUMP(BPF_JEQ), k, yes, no);
	if (at != program->at)
		return at;
	at = put(program, (struct insn){.code = BPF_ALU | BPF_AND | BPF_K, .k = mask});
	return emit_load(program, word, at);
}

/* Is the argument at least `value`? The high word decides unless it is equal. */
static unsigned int emit_at_least(struct program *program, uint32_t high, uint32_t low,
				  uint64_t value, unsigned int yes, unsigned int no)
{
	uint32_t value_high = value >> 32, value_low = value;
	unsigned int equal;

	if (program->arch->wide && !value_low)
		return emit_test(program, high, JUMP(BPF_JGE), value_high, yes, no);
	equal = emit_test(program, low, JUMP(BPF_JGE), value_low, yes, no);
	if (!program->arch->wide)
		return equal;
	if (value_high == UINT32_MAX)
		return emit_test(program, high, JUMP(BPF_JEQ), value_high, equal, no);
	if (value_high)
		equal = emit_jump(program, JUMP(BPF_JEQ), value_high, equal, no);
	return emit_test(program, high, JUMP(BPF_JGT), value_high, yes, equal);
}

static unsigned int emit_condition(struct program *program, const struct condition *condition,
				   unsigned int yes, unsigned int no)
{
	bool wide = program->arch->wide, big = program->arch->big_endian;
	uint32_t word = ARGS + 8u * condition->index;
	uint32_t low = word + (big ? 4 : 0), high = word + (big ? 0 : 4);
	uint32_t value_low = condition->value, value_high = condition->value >> 32;
	unsigned int rest;

	switch (condition->compare) {
	case COMPARE_EQ:
		rest = emit_equal(program, low, value_low, yes, no);
		return wide ? emit_equal(program, high, value_high, rest, no) : rest;
	case COMPARE_NE:
		rest = emit_equal(program, low, value_low, no, yes);
		return wide ? emit_equal(program, high, value_high, rest, yes) : rest;
	case COMPARE_GE:
		return emit_at_least(program, high, low, condition->value, yes, no);
	case COMPARE_LT:
		return emit_at_least(program, high, low, condition->value, no, yes);
	default:
		rest = emit_masked(program, low, value_low, condition->value_two, yes, no);
		return wide ? emit_masked(program, high, value_high, condition->value_two >> 32,
					  rest, no)
			    : rest;
	}
}

unsigned int emit_rules(struct program *program, const struct rule *const *rules, unsigned int n,
			uint32_t otherwise)
{
	unsigned int next = emit_return(program, otherwise);

	while (n-- && !program->full) {
		const struct rule *rule = rules[n];
		unsigned int match = emit_return(program, rule->action);

		/* ANDed: each leads to the one after it; ORed: each failure does */
		if (rule->any) {
			for (unsigned int i = rule->n_conditions; i--;)
				next = emit_condition(program, &rule->conditions[i], match, next);
		} else {
			for (unsigned int i = rule->n_conditions; i--;)
				match = emit_condition(program, &rule->conditions[i], match, next);
			next = match;
		}
	}
	return next;
}
