/* SPDX-License-Identifier: MIT */
/*
 * One rule of a policy: its action, its names and its argument conditions, checked and folded
 * for the target. Conditions that can never or always hold on the target disappear here, so
 * that filter.c meets only what needs a test.
 */
#include "rules.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>

#define ERRNO_DEFAULT 1 /* EPERM, on every architecture */
#define ERRNO_MAX 4095 /* the kernel cuts larger ones (MAX_ERRNO) */

struct action_word {
	char word[24];
	uint32_t value;
};

static const struct action_word actions[] = {
	{"SCMP_ACT_KILL", SECCOMP_RET_KILL_THREAD},
	{"SCMP_ACT_KILL_THREAD", SECCOMP_RET_KILL_THREAD},
	{"SCMP_ACT_KILL_PROCESS", SECCOMP_RET_KILL_PROCESS},
	{"SCMP_ACT_TRAP", SECCOMP_RET_TRAP},
	{"SCMP_ACT_ERRNO", SECCOMP_RET_ERRNO},
	{"SCMP_ACT_ERROR", SECCOMP_RET_ERRNO},
	{"SCMP_ACT_TRACE", SECCOMP_RET_TRACE},
	{"SCMP_ACT_ALLOW", SECCOMP_RET_ALLOW},
	{"SCMP_ACT_LOG", SECCOMP_RET_LOG},
	{"SCMP_ACT_NOTIFY", SECCOMP_RET_USER_NOTIF},
};

#define N_ACTIONS (sizeof(actions) / sizeof(actions[0]))

enum op { OP_NE, OP_LT, OP_LE, OP_EQ, OP_GE, OP_GT, OP_MASKED_EQ };

static const char ops[][24] = {
	"SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE",        "SCMP_CMP_EQ",
	"SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ",
};

#define N_OPS (sizeof(ops) / sizeof(ops[0]))

static const char *action_name(unsigned int index)
{
	return index < N_ACTIONS ? actions[index].word : NULL;
}

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

/* The errno of ERRNO, or the message of TRACE. */
static int read_code(const struct reading *reading, const struct json *code, uint32_t *value)
{
	bool trace = *value == SECCOMP_RET_TRACE;

	if (!trace && *value != SECCOMP_RET_ERRNO) {
		if (code)
			return refuse(reading, code,
				      "an errno goes with SCMP_ACT_ERRNO and SCMP_ACT_TRACE only");
		return 0;
	}
	if (!code) {
		*value |= ERRNO_DEFAULT;
		return 0;
	}
	if (code->kind != JSON_INTEGER || code->integer > (trace ? SECCOMP_RET_DATA : ERRNO_MAX))
		return refuse(reading, code, "an errno must be a whole number from 0 to ",
			      trace ? "65535" : "4095");
	*value |= code->integer;
	return 0;
}

int read_action(const struct reading *reading, const struct json *action, const struct json *code,
		uint32_t *value)
{
	int ret = expect(reading, action, JSON_STRING, "an action");

	if (ret)
		return ret;
	for (unsigned int i = 0; i < N_ACTIONS; i++) {
		if (strcmp(actions[i].word, action->string))
			continue;
		*value = actions[i].value;
		return read_code(reading, code, value);
	}
	return refuse_word(reading, action, "action", action->string, action_name);
}

struct rule *add_rule(const struct reading *reading, uint32_t at, uint32_t action)
{
	struct rules *rules = reading->rules;
	struct rule *rule = arena_take(reading->arena, 1, sizeof(*rule));

	if (!rule)
		return NULL;
	rule->at = at;
	rule->action = action;
	rule->order = rules->n_rules++;
	*rules->link = rule;
	rules->link = &rule->next;
	return rule;
}

/* How much an action takes away; the kernel's own order. */
static unsigned int strictness(uint32_t action)
{
	static const uint32_t order[] = {
		SECCOMP_RET_ALLOW,       SECCOMP_RET_LOG,   SECCOMP_RET_TRACE,
		SECCOMP_RET_USER_NOTIF,  SECCOMP_RET_ERRNO, SECCOMP_RET_TRAP,
		SECCOMP_RET_KILL_THREAD,
	};
	unsigned int i = 0;

	while (i < sizeof(order) / sizeof(order[0]) &&
	       (action & SECCOMP_RET_ACTION_FULL) != order[i])
		i++;
	return i;
}

/*
 * A name that no architecture has. In the tools that is an error. The shim may be older than
 * the policy: it goes on where ignoring the rule takes rights away, never where it gives some.
 */
int refuse_name(const struct reading *reading, const struct rule *rule, const struct json *name)
{
	bool allows = strictness(rule->action) <= strictness(SECCOMP_RET_LOG) ||
		      strictness(rule->action) <= strictness(reading->rules->default_action);

	if (reading->request->flags & POLICY_LENIENT && allows)
		return 0;
	return refuse_word(reading, name, "system call", name->string, arch_call_name);
}

int add_name(const struct reading *reading, struct rule *rule, const struct json *name)
{
	struct rules *rules = reading->rules;
	struct entry *entry;
	struct call *call;
	int index, ret = expect(reading, name, JSON_STRING, "a system call");

	if (ret)
		return ret;
	index = arch_call_find(name->string);
	if (index < 0)
		return refuse_name(reading, rule, name);
	if (arch_number(rules->arch, index) == ARCH_NO_CALL)
		return 0;
	if (!reading->early && !rules->calls[index].rank)
		rules->calls[index].rank = ++rules->n_ranks;
	rule->named = true;
	call = &rules->calls[index];
	if (call->last && call->last->rule == rule)
		return 0;
	entry = arena_take(reading->arena, 1, sizeof(*entry));
	if (!entry)
		return refuse_memory(reading->result);
	entry->rule = rule;
	*(call->last ? &call->last->next : &call->first) = entry;
	call->last = entry;
	return 0;
}

int add_names(const struct reading *reading, struct rule *rule, const struct json *names)
{
	int ret = expect(reading, names, JSON_ARRAY, "names");

	for (const struct json *name = names->first; name && !ret; name = name->next)
		ret = add_name(reading, rule, name);
	return ret;
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
static int read_conditions(const struct reading *reading, struct rule *rule,
			   const struct json *args)
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

int read_rule(const struct reading *reading, const struct json *object)
{
	const struct json *names, *name, *action, *args;
	uint32_t value = 0;
	struct rule *rule;
	int ret = expect(reading, object, JSON_OBJECT, "a rule");

	if (!ret)
		ret = check_keys(reading, object,
				 "names name action errnoRet args comment includes excludes");
	if (ret)
		return ret;
	names = json_member(object, "names");
	name = json_member(object, "name");
	action = json_member(object, "action");
	args = json_member(object, "args");
	if (names && name)
		return refuse(reading, name, "a rule has either name or names");
	if (!names && !name)
		return refuse(reading, object, "names is missing");
	if (!action)
		return refuse(reading, object, "action is missing");
	ret = read_action(reading, action, json_member(object, "errnoRet"), &value);
	if (ret)
		return ret;
	rule = add_rule(reading, object->at, value);
	if (!rule)
		return refuse_memory(reading->result);
	/* an excluded rule is read to its end, so that a mistake in it shows on every machine */
	ret = check_selected(reading, object, &rule->excluded);
	if (ret)
		return ret;
	if (args && args->kind != JSON_NULL)
		ret = read_conditions(reading, rule, args);
	if (ret)
		return ret;
	return names ? add_names(reading, rule, names) : add_name(reading, rule, name);
}
