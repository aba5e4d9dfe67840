/* SPDX-License-Identifier: MIT */
/*
 * What is not wrong in a policy but cannot be meant: rules that never match. For the tools
 * only; the shim does not link it.
 */
#include "rules.h"

#include <errno.h>
#include <string.h>

static bool same_conditions(const struct rule *a, const struct rule *b)
{
	if (a->n_conditions != b->n_conditions || (a->any != b->any && a->n_conditions > 1))
		return false;
	for (unsigned int i = 0; i < a->n_conditions; i++) {
		const struct condition *one = &a->conditions[i], *two = &b->conditions[i];

		if (one->value != two->value || one->value_two != two->value_two ||
		    one->index != two->index || one->compare != two->compare)
			return false;
	}
	return true;
}

/* Follow one call: mark the rules that can decide it. */
static void mark_reached(const struct entry *first)
{
	for (const struct entry *entry = first; entry; entry = entry->next) {
		struct rule *rule = entry->rule;
		const struct entry *earlier = first;

		if (rule->never || rule->excluded)
			continue;
		while (earlier != entry && (earlier->rule->excluded || earlier->rule->never ||
					    !same_conditions(earlier->rule, rule)))
			earlier = earlier->next;
		rule->reached |= earlier == entry;
		if (!rule->n_conditions)
			return;
	}
}

static void warn(const struct policy_request *request, const struct rule *rule,
		 struct policy_warning *warning)
{
	json_place(request->policy, rule->at, &warning->line, &warning->column);
	message_join(warning->message, sizeof(warning->message), "this rule can never match: ",
		     rule->never ? "no argument is like that on "
				 : "earlier rules decide all its calls",
		     rule->never ? request->arch : "", (const char *)NULL);
}

int policy_lint(const struct policy_request *request, void *scratch, size_t scratch_size,
		struct policy_warning *warnings, unsigned int max, struct policy_result *result)
{
	struct arena arena = {.free = scratch, .left = scratch_size};
	struct policy_request alone = *request; /* without what door 1 puts first */
	struct rules rules = {0};
	unsigned int n = 0;
	int ret;

	memset(result, 0, sizeof(*result));
	alone.flags &= ~POLICY_DOOR1;
	ret = read_request(&alone, &arena, &rules, result);
	if (ret)
		return ret;
	for (unsigned int i = 0; i < arch_call_count(); i++)
		mark_reached(rules.calls[i].first);
	for (const struct rule *rule = rules.first; rule && n < max; rule = rule->next)
		if (rule->named && !rule->excluded && !rule->reached)
			warn(request, rule, &warnings[n++]);
	return n;
}
