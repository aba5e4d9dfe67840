/* SPDX-License-Identifier: MIT */
/*
 * A BPF program under construction, written from its end to its start: every jump of classic
 * BPF goes forward, so its target is already there and its distance known when it is written.
 */
#ifndef STOCKADE_EMIT_H
#define STOCKADE_EMIT_H

#include "rules.h"

struct insn {
	uint16_t code;
	uint8_t jt, jf;
	uint32_t k;
};

struct program {
	struct insn *insns; /* POLICY_MAX_INSNS */
	const struct arch *arch;
	unsigned int at; /* of the first instruction so far */
	bool full; /* an instruction did not fit: nothing here is to be used */
	bool detour[2]; /* the last jump's two ways lead over a `ja` */
	unsigned int returns[4]; /* the latest RETs, to be shared while in reach */
	unsigned int n_returns;
};

void program_start(struct program *program, const struct arch *arch, struct insn *insns);

/* Each returns the position of the first instruction of what it wrote or found. A load goes on at `next`. */
unsigned int emit_load(struct program *program, uint32_t offset, unsigned int next);
unsigned int emit_return(struct program *program, uint32_t action);
unsigned int emit_jump(struct program *program, uint16_t code, uint32_t k, unsigned int yes,
		       unsigned int no);

/* Rules in order of precedence, each with conditions; then `otherwise`. */
unsigned int emit_rules(struct program *program, const struct rule *const *rules, unsigned int n,
			uint32_t otherwise);

#endif
