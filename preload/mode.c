/* SPDX-License-Identifier: MIT */
/*
 * What complaining and a supervisor make of a policy: other verdicts, once all rules are read,
 * so that what the rules mean and which of them wins is the same in every mode.
 */
#include "mark.h"
#include "rules.h"

#include <linux/seccomp.h>

bool has_listener(unsigned int flags)
{
	return flags & POLICY_NOTIFY && (!(flags & POLICY_DOOR1) || flags & POLICY_LISTENER);
}

/* Comes first: whatever the policy says of prctl, this one has to reach the supervisor. */
int add_mark(const struct reading *reading)
{
	const uint64_t option = MARK_LISTENER;

	return add_exact(reading, "prctl", SECCOMP_RET_USER_NOTIF, &option, 1);
}

static uint32_t verdict(unsigned int flags, uint32_t action)
{
	const uint32_t kind = action & SECCOMP_RET_ACTION_FULL;

	if (kind == SECCOMP_RET_ALLOW || kind == SECCOMP_RET_LOG)
		return action;
	if (flags & POLICY_COMPLAIN)
		return has_listener(flags) ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_LOG;
	if (!(flags & POLICY_NOTIFY))
		return action;
	/* the rest is what nobody but the kernel can do */
	return kind == SECCOMP_RET_KILL_PROCESS || kind == SECCOMP_RET_ERRNO
		       ? SECCOMP_RET_USER_NOTIF
		       : action;
}

void apply_mode(const struct policy_request *request, struct rules *rules)
{
	struct rule *rule;

	for (rule = rules->first; rule; rule = rule->next)
		rule->action = verdict(request->flags, rule->action);
	rules->default_action = verdict(request->flags, rules->default_action);
	rules->foreign_action = verdict(request->flags, SECCOMP_RET_KILL_PROCESS);
}
