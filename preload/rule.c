/* SPDX-License-Identifier: MIT */
/*
 * One rule of a policy: its action and its names, checked for the target. condition.c reads
 * what it says of arguments.
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

static const char *action_name(unsigned int index)
{
	return index < N_ACTIONS ? actions[index].word : NULL;
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
