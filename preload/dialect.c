/* SPDX-License-Identifier: MIT */
/*
 * The head of a policy, everything but its rules, in each of the formats; they are told apart
 * by their keys (json-filters/README.md).
 */
#include "rules.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV /* since Linux 5.19 */
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

struct flag_word {
	char word[40];
	uint32_t value;
};

static const struct flag_word flags[] = {
	{"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
	{"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
	{"SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC},
	{"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV},
};

#define N_FLAGS (sizeof(flags) / sizeof(flags[0]))

static const char *flag_name(unsigned int index)
{
	return index < N_FLAGS ? flags[index].word : NULL;
}

static int read_flags(const struct reading *reading, const struct json *words)
{
	int ret = expect(reading, words, JSON_ARRAY, "flags");

	for (const struct json *word = words->first; word && !ret; word = word->next) {
		unsigned int i = 0;

		ret = expect(reading, word, JSON_STRING, "a flag");
		if (ret)
			break;
		while (i < N_FLAGS && strcmp(flags[i].word, word->string))
			i++;
		if (i == N_FLAGS)
			return refuse_word(reading, word, "flag", word->string, flag_name);
		if (!reading->in_startup)
			reading->rules->filter_flags |= flags[i].value;
	}
	return ret;
}

/* The trace's weights. A name that no architecture has is a mistake, except to the shim. */
static int read_counts(const struct reading *reading, const struct json *counts)
{
	int ret = expect(reading, counts, JSON_OBJECT, "counts");

	if (ret)
		return ret;
	for (const struct json *member = counts->first; member; member = member->next) {
		const struct json *count = member->first;
		int index = arch_call_find(member->string);

		if (count->kind != JSON_INTEGER)
			return refuse(reading, count, "a count must be a whole number");
		if (index < 0 && !(reading->request->flags & POLICY_LENIENT))
			return refuse_word(reading, member, "system call", member->string,
					   arch_call_name);
		if (index < 0)
			continue;
		reading->rules->calls[index].count = count->integer;
		if (reading->rules->most < count->integer)
			reading->rules->most = count->integer;
	}
	reading->rules->counted = true;
	return 0;
}

/* {"whitelist": names, "policy": n}: 0 kills, n returns errno n and logs it. */
static int read_classic(const struct reading *reading, const struct json *policy)
{
	const struct json *errno_value = json_member(policy, "policy");
	int ret = check_keys(reading, policy, "whitelist policy comment counts startup $schema");

	if (ret)
		return ret;
	if (!json_member(policy, "whitelist"))
		return refuse(reading, policy, "whitelist is missing");
	reading->rules->default_action = SECCOMP_RET_KILL_PROCESS;
	if (!errno_value)
		return 0;
	if (errno_value->kind != JSON_INTEGER || errno_value->integer > 4095)
		return refuse(reading, errno_value, "policy must be a whole number from 0 to 4095");
	if (errno_value->integer) {
		reading->rules->default_action = SECCOMP_RET_ERRNO | errno_value->integer;
		reading->rules->filter_flags |= SECCOMP_FILTER_FLAG_LOG;
	}
	return 0;
}

static int read_oci(const struct reading *reading, const struct json *policy)
{
	const struct json *action = json_member(policy, "defaultAction");
	const struct json *words = json_member(policy, "flags");
	uint32_t value = 0;
	int ret =
		check_keys(reading, policy,
			   "defaultAction defaultErrnoRet architectures archMap flags syscalls "
			   "listenerPath listenerMetadata startup counts programs comment accepted "
			   "$schema");

	if (ret)
		return ret;
	for (const struct json *key = policy->first; key; key = key->next)
		if (!strcmp(key->string, "listenerPath") ||
		    !strcmp(key->string, "listenerMetadata"))
			return refuse(reading, key, key->string,
				      " is not supported: no listener of somebody else is served");
	if (!action)
		return refuse(reading, policy, "defaultAction is missing");
	ret = read_action(reading, action, json_member(policy, "defaultErrnoRet"), &value);
	if (!ret)
		ret = check_architectures(reading, policy);
	if (!ret && words)
		ret = read_flags(reading, words);
	if (!ret && !reading->in_startup)
		reading->rules->default_action = value;
	return ret;
}

/* All of a policy but its rules. */
int read_head(const struct reading *reading, const struct json *policy)
{
	const struct json *counts, *classic = NULL, *oci = NULL;
	int ret = expect(reading, policy, JSON_OBJECT, "a policy");

	if (ret)
		return ret;
	counts = json_member(policy, "counts"); /* an array has none */
	for (const struct json *key = policy->first; key; key = key->next) {
		if (!strcmp(key->string, "whitelist") || !strcmp(key->string, "policy"))
			classic = key;
		else if (!strcmp(key->string, "defaultAction") || !strcmp(key->string, "syscalls"))
			oci = key;
	}
	if (classic && oci)
		return refuse(reading, classic->at > oci->at ? classic : oci, "\"", classic->string,
			      "\" and \"", oci->string, "\" are of two different formats");
	if (classic && reading->in_startup)
		return refuse(reading, classic, "start-up rules need the defaultAction format");
	ret = classic ? read_classic(reading, policy) : read_oci(reading, policy);
	if (!ret && counts && !reading->in_startup)
		ret = read_counts(reading, counts);
	return ret;
}
