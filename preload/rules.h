/* SPDX-License-Identifier: MIT */
/*
 * A policy between its two ends: what the readers (policy.c, rule.c, condition.c, select.c) make of the
 * JSON and what filter.c turns into BPF. Nothing outside the compiler includes this.
 */
#ifndef STOCKADE_RULES_H
#define STOCKADE_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch.h"
#include "arena.h"
#include "json.h"
#include "message.h"
#include "policy.h"

/* Comparisons that are left after folding; LE and GT have become LT and GE. */
enum comparison { COMPARE_EQ, COMPARE_NE, COMPARE_GE, COMPARE_LT, COMPARE_MASKED };

struct condition {
	uint64_t value; /* the mask of COMPARE_MASKED */
	uint64_t value_two; /* what COMPARE_MASKED compares with */
	uint8_t index; /* of the argument */
	uint8_t compare;
};

struct rule {
	struct rule *next; /* in the order of the file */
	const struct condition *conditions;
	unsigned int n_conditions; /* 0: always matches */
	uint32_t action; /* SECCOMP_RET_* and its data */
	uint32_t order; /* over all texts; the lowest that matches wins */
	uint32_t at; /* place in the text */
	bool any; /* one condition is enough, else all must hold */
	bool excluded; /* by its own includes or excludes */
	bool never; /* its conditions can never hold */
	bool named; /* it has a name that this architecture knows */
	bool reached; /* lint: some call can get to it */
};

/* One call named by one rule. */
struct entry {
	struct entry *next;
	struct rule *rule;
};

struct call {
	struct entry *first, *last; /* by rule order */
	uint32_t rank; /* of its first appearance in the policy, from 1 */
	uint64_t count; /* from `counts` */
};

struct rules {
	const struct arch *arch;
	struct call *calls; /* by name index, arch_call_count() of them */
	struct rule *first, **link;
	uint32_t n_rules;
	uint32_t default_action;
	uint32_t foreign_action; /* for calls of another ABI */
	uint32_t filter_flags;
	uint32_t n_ranks;
	bool counted; /* the policy has `counts` */
	uint64_t most; /* of the counts */
};

/* One text on its way into `rules`. */
struct reading {
	const struct policy_request *request;
	struct policy_result *result;
	struct arena *arena;
	struct rules *rules;
	const char *text;
	bool in_startup; /* the text is request->startup */
	bool early; /* start-up rules: rare, whatever their place */
};

/* policy.c: both texts of a request into rules. */
int read_request(const struct policy_request *request, struct arena *arena, struct rules *rules,
		 struct policy_result *result);

/* dialect.c: all of a policy but its rules. */
int read_head(const struct reading *reading, const struct json *policy);

/* Say why, note the place and return -EINVAL. */
#define refuse(reading, value, ...)                                                                \
	(message_join((reading)->result->message, sizeof((reading)->result->message), __VA_ARGS__, \
		      (const char *)NULL),                                                         \
	 refuse_at(reading, (value)->at))

int refuse_at(const struct reading *reading, uint32_t at);

/* "arena used up", for sizes that policy_scratch_size() should have covered. */
int refuse_memory(struct policy_result *result);

/* "unknown WHAT "WORD"", and the nearest of `list` if one is near. */
int refuse_word(const struct reading *reading, const struct json *value, const char *what,
		const char *word, const char *(*list)(unsigned int index));

/* The value of a key, or NULL. */
const struct json *json_member(const struct json *object, const char *key);

/* Refuse keys that are not in `keys`, a list of words separated by single spaces. */
int check_keys(const struct reading *reading, const struct json *object, const char *keys);

int expect(const struct reading *reading, const struct json *value, enum json_kind kind,
	   const char *what);

/* rule.c */
int read_action(const struct reading *reading, const struct json *action, const struct json *code,
		uint32_t *value);
struct rule *add_rule(const struct reading *reading, uint32_t at, uint32_t action);
int refuse_name(const struct reading *reading, const struct rule *rule, const struct json *name);
int add_names(const struct reading *reading, struct rule *rule, const struct json *names);
int add_name(const struct reading *reading, struct rule *rule, const struct json *name);
int read_rule(const struct reading *reading, const struct json *object);

/* condition.c */
int read_conditions(const struct reading *reading, struct rule *rule, const struct json *args);

/* A rule for a call with exactly these first arguments. */
int add_exact(const struct reading *reading, const char *call, uint32_t action,
	      const uint64_t *values, unsigned int n);

/* mode.c: what the request's mode puts before all rules, and makes of all verdicts. */
/* Whether what such a filter asks about is heard. */
bool has_listener(unsigned int flags);
int add_mark(const struct reading *reading);
void apply_mode(const struct policy_request *request, struct rules *rules);

/* select.c */
int check_selected(const struct reading *reading, const struct json *rule, bool *excluded);
int check_architectures(const struct reading *reading, const struct json *policy);

/* filter.c */
int filter_build(const struct rules *rules, struct arena *arena, unsigned char *code,
		 size_t code_size, struct policy_result *result);
size_t filter_arena_bytes(void);

#endif
