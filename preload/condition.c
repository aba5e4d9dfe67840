/* SPDX-License-Identifier: MIT */
/*
 * The argument conditions of a rule, checked and folded for the target: those that can never or
 * always hold on it disappear here, so that filter.c meets only what needs a test.
 */
#include "rules.h"

#include <string.h>

enum op { OP_NE, OP_LT, OP_LE, OP_EQ, OP_GE, OP_GT, OP_MASKED_EQ };

static const char ops[][24] = {
	"SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE",        "SCMP_CMP_EQ",
	"SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ",
};

#define N_OPS (sizeof(ops) / sizeof(ops[0]))

static const char *op_name(unsigned int index)
{
	return index < N_OPS ? ops[index] : NULL;
}

static int read_integer(const struct reading *reading, const struct json *object, const char *key,
			uint64_t most, const char *must, uint64_t *number)
{
	const struct json *value = json_member(object, key);

	if (!value)
		return refuse(reading, object, key, " is missing");
	if (value->kind != JSON_INTEGER || value->integer > most)
		return refuse(reading, value, key, " must be ", must);
	*number = value->integer;
	return 0;
}

enum fold { FOLD_TEST, FOLD_NEVER, FOLD_ALWAYS };

/*
 * Turn what was written into one of the comparisons that are left, or find that the target
 * needs no test: on a 32-bit one the high word of every argument is 0.
 */
static enum fold fold(enum op op, bool wide, struct condition *condition)
{
	uint64_t most = wide ? UINT64_MAX : UINT32_MAX, value = condition->value;

	switch (op) {
	case OP_EQ:
		condition->compare = COMPARE_EQ;
		return value > most ? FOLD_NEVER : FOLD_TEST;
	case OP_NE:
		condition->compare = COMPARE_NE;
		return value > most ? FOLD_ALWAYS : FOLD_TEST;
	case OP_GT:
	case OP_LE:
		condition->compare = op == OP_GT ? COMPARE_GE : COMPARE_LT;
		if (value >= most)
			return op == OP_GT ? FOLD_NEVER : FOLD_ALWAYS;
		condition->value = value + 1;
		return FOLD_TEST;
	case OP_GE:
	case OP_LT:
		condition->compare = op == OP_GE ? COMPARE_GE : COMPARE_LT;
		if (value == 0)
			return op == OP_GE ? FOLD_ALWAYS : FOLD_NEVER;
		if (value > most)
			return op == OP_GE ? FOLD_NEVER : FOLD_ALWAYS;
		return FOLD_TEST;
	case OP_MASKED_EQ:
		condition->compare = COMPARE_MASKED;
		condition->value &= most;
		if (condition->value_two & ~condition->value)
			return FOLD_NEVER;
		return condition->value ? FOLD_TEST : FOLD_ALWAYS;
	}
	return FOLD_TEST;
}

static int read_condition(const struct reading *reading, const struct json *arg, enum op *op,
			  struct condition *condition)
{
	uint64_t index = 0, two = 0;
	const struct json *word;
	int ret = expect(reading, arg, JSON_OBJECT, "an argument condition");

	if (!ret)
		ret = check_keys(reading, arg, "index value valueTwo op");
	if (!ret)
		ret = read_integer(reading, arg, "index", 5, "a whole number from 0 to 5", &index);
	if (!ret)
		ret = read_integer(reading, arg, "value", UINT64_MAX,
				   "a whole number from 0 to 2^64-1", &condition->value);
	if (!ret && json_member(arg, "valueTwo"))
		ret = read_integer(reading, arg, "valueTwo", UINT64_MAX,
				   "a whole number from 0 to 2^64-1", &two);
	if (ret)
		return ret;
	condition->index = index;
	condition->value_two = two;
	word = json_member(arg, "op");
	if (!word)
		return refuse(reading, arg, "op is missing");
	ret = expect(reading, word, JSON_STRING, "op");
	if (ret)
		return ret;
	for (unsigned int i = 0; i < N_OPS; i++) {
		if (!strcmp(ops[i], word->string)) {
			*op = i;
			return 0;
		}
	}
	return refuse_word(reading, word, "operator", word->string, op_name);
}

/* Conditions are ANDed, but ORed as soon as two of them look at one argument (as runc does). */
int read_conditions(const struct reading *reading, struct rule *rule, const struct json *args)
{
	unsigned int n = 0, seen = 0, kept = 0, always = 0;
	struct condition *conditions;
	int ret = expect(reading, args, JSON_ARRAY, "args");

	if (ret)
		return ret;
	for (const struct json *arg = args->first; arg; arg = arg->next)
		n++;
	conditions = arena_take(reading->arena, n, sizeof(*conditions));
	if (!conditions)
		return refuse_memory(reading->result);
	for (const struct json *arg = args->first; arg; arg = arg->next) {
		struct condition *condition = &conditions[kept];
		enum fold folded;
		enum op op = OP_EQ;

		ret = read_condition(reading, arg, &op, condition);
		if (ret)
			return ret;
		rule->any |= seen >> condition->index & 1;
		seen |= 1u << condition->index;
		folded = fold(op, reading->rules->arch->wide, condition);
		kept += folded == FOLD_TEST;
		always += folded == FOLD_ALWAYS;
	}
	if (rule->any)
		rule->never = !kept && !always;
	else
		rule->never = kept + always < n;
	rule->conditions = conditions;
	rule->n_conditions = rule->any && always ? 0 : kept;
	return 0;
}

int add_exact(const struct reading *reading, const char *call, uint32_t action,
	      const uint64_t *values, unsigned int n)
{
	const struct arch *arch = reading->rules->arch;
	struct rule *rule = add_rule(reading, 0, action);
	struct condition *conditions = arena_take(reading->arena, n, sizeof(*conditions));
	struct json name = {.kind = JSON_STRING, .string = call};

	if (!rule || !conditions)
		return refuse_memory(reading->result);
	for (unsigned int i = 0; i < n; i++) {
		conditions[i].index = i;
		conditions[i].value = values[i];
		/* the launcher's stand-ins are wider than an address of a 32-bit target */
		if (!arch->wide)
			conditions[i].value &= UINT32_MAX;
		rule->never |= fold(OP_EQ, arch->wide, &conditions[i]) == FOLD_NEVER;
	}
	rule->conditions = conditions;
	rule->n_conditions = n;
	return add_name(reading, rule, &name);
}
