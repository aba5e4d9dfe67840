/* SPDX-License-Identifier: MIT */
/*
 * The top of the compiler: take the texts apart by dialect, put the rules of all of them in
 * order, and hand them to filter.c. Nothing here knows BPF.
 */
#include "rules.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV /* since Linux 5.19 */
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

#define FIXED_BYTES 4096 /* request-sized odds and ends */
#define SHIM_COMMENT "shim" /* marks the start-up rules that every door-1 filter needs */

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

int refuse_at(const struct reading *reading, uint32_t at)
{
	json_place(reading->text, at, &reading->result->line, &reading->result->column);
	reading->result->in_startup = reading->in_startup;
	return -EINVAL;
}

int refuse_memory(struct policy_result *result)
{
	message_join(result->message, sizeof(result->message), "the compiler's memory is too small",
		     (const char *)NULL);
	return -ENOMEM;
}

int refuse_word(const struct reading *reading, const struct json *value, const char *what,
		const char *word, const char *(*list)(unsigned int))
{
	struct nearest nearest;

	nearest_start(&nearest, word);
	for (unsigned int i = 0; list(i); i++)
		nearest_offer(&nearest, list(i));
	if (!nearest.best)
		return refuse(reading, value, "unknown ", what, " \"", word, "\"");
	return refuse(reading, value, "unknown ", what, " \"", word, "\", did you mean \"",
		      nearest.best, "\"");
}

const struct json *json_member(const struct json *object, const char *key)
{
	for (const struct json *member = object->first; member; member = member->next)
		if (!strcmp(member->string, key))
			return member->first;
	return NULL;
}

int expect(const struct reading *reading, const struct json *value, enum json_kind kind,
	   const char *what)
{
	if (value->kind == kind)
		return 0;
	return refuse(reading, value, what, " must be ",
		      kind == JSON_STRING  ? "a string"
		      : kind == JSON_ARRAY ? "an array"
					   : "an object");
}

/* The word of a space-separated list that starts at `list`, in `word`; returns what follows. */
static const char *next_word(const char *list, char word[24])
{
	size_t length = 0;

	for (; *list && *list != ' '; list++)
		if (length < 23)
			word[length++] = *list;
	word[length] = '\0';
	return *list ? list + 1 : list;
}

int check_keys(const struct reading *reading, const struct json *object, const char *keys)
{
	for (const struct json *member = object->first; member; member = member->next) {
		char word[24], best[24] = "";
		const char *list = keys;
		struct nearest nearest;
		bool known = false;

		nearest_start(&nearest, member->string);
		while (*list && !known) {
			unsigned int limit = nearest.limit;

			list = next_word(list, word);
			known = !strcmp(word, member->string);
			nearest_offer(&nearest, word);
			if (nearest.limit < limit)
				memcpy(best, word, sizeof(best));
		}
		if (known)
			continue;
		if (!best[0])
			return refuse(reading, member, "unknown key \"", member->string, "\"");
		return refuse(reading, member, "unknown key \"", member->string,
			      "\", did you mean \"", best, "\"");
	}
	return 0;
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
		reading->rules->calls[index].count =
			count->integer < INT32_MAX ? count->integer : INT32_MAX;
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
	int ret = check_keys(reading, policy,
			     "defaultAction defaultErrnoRet architectures archMap flags syscalls "
			     "listenerPath listenerMetadata startup counts comment $schema");

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
static int read_head(const struct reading *reading, const struct json *policy)
{
	const struct json *counts = json_member(policy, "counts");
	const struct json *classic = NULL, *oci = NULL;
	int ret = expect(reading, policy, JSON_OBJECT, "a policy");

	if (ret)
		return ret;
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

static bool is_marked(const struct json *rule)
{
	const struct json *comment =
		rule->kind == JSON_OBJECT ? json_member(rule, "comment") : NULL;

	return comment && comment->kind == JSON_STRING && !strcmp(comment->string, SHIM_COMMENT);
}

/* An array of names as one ALLOW rule. */
static int read_allowed(const struct reading *reading, const struct json *names)
{
	struct rule *rule = add_rule(reading, names->at, SECCOMP_RET_ALLOW);

	if (!rule)
		return refuse_memory(reading->result);
	return add_names(reading, rule, names);
}

/* The rules of a text; of marked ones only, where the policy has its own start-up list. */
static int read_rules(const struct reading *reading, const struct json *policy, bool marked_only)
{
	const struct json *list = json_member(policy, "syscalls");
	const struct json *names = json_member(policy, "whitelist");
	int ret = 0;

	if (names)
		return read_allowed(reading, names);
	if (!list)
		return 0;
	ret = expect(reading, list, JSON_ARRAY, "syscalls");
	for (const struct json *rule = list->first; rule && !ret; rule = rule->next)
		if (!marked_only || is_marked(rule))
			ret = read_rule(reading, rule);
	return ret;
}

static int parse(const struct reading *reading, const char *text, size_t size,
		 const struct json **policy)
{
	struct policy_result *result = reading->result;
	struct json_error error;
	struct json place = {0};
	int ret;

	if (size > POLICY_MAX_BYTES) {
		message_join(result->message, sizeof(result->message),
			     "the text is longer than 1 MiB", (const char *)NULL);
		result->in_startup = reading->in_startup;
		return -E2BIG;
	}
	ret = json_parse(text, size, reading->arena, policy, &error);
	if (ret == -ENOMEM)
		return refuse_memory(result);
	if (!ret)
		return 0;
	place.at = error.at;
	if (error.key)
		return refuse(reading, &place, error.reason, " \"", error.key, "\"");
	return refuse(reading, &place, error.reason);
}

/* What comes before the policy's own rules at exec, in the order of precedence. */
static int read_door1(const struct reading *reading, const struct reading *startup_reading,
		      const struct json *policy)
{
	const struct policy_request *request = reading->request;
	const struct json *own = json_member(policy, "startup"), *startup;
	struct reading early = *reading;
	int ret = 0;

	early.early = true;
	if (own)
		ret = read_allowed(&early, own);
	if (!ret && request->startup) {
		ret = parse(startup_reading, request->startup, request->startup_size, &startup);
		if (!ret)
			ret = read_head(startup_reading, startup);
		if (!ret)
			ret = read_rules(startup_reading, startup, own);
	}
	return ret ? ret : add_pin(&early);
}

/* Outside door 1 the start-up names are checked all the same, but make no rule. */
static int check_startup(const struct reading *reading, const struct json *policy)
{
	const struct json *own = json_member(policy, "startup");
	struct rule unused = {.action = SECCOMP_RET_ALLOW};
	int ret = own ? expect(reading, own, JSON_ARRAY, "startup") : 0;

	if (!own || ret)
		return ret;
	for (const struct json *name = own->first; name && !ret; name = name->next) {
		ret = expect(reading, name, JSON_STRING, "a system call");
		if (!ret && arch_call_find(name->string) < 0)
			ret = refuse_name(reading, &unused, name);
	}
	return ret;
}

/* Both texts into rules. */
static int read_request(const struct policy_request *request, struct arena *arena,
			struct rules *rules, struct policy_result *result)
{
	struct reading reading = {
		.request = request,
		.result = result,
		.arena = arena,
		.rules = rules,
		.text = request->policy,
	};
	struct reading startup = reading;
	const struct json *policy;
	int ret;

	startup.text = request->startup;
	startup.in_startup = startup.early = true;
	rules->arch = arch_find(request->arch ? request->arch : "");
	if (!rules->arch) {
		message_join(result->message, sizeof(result->message), "unknown architecture \"",
			     request->arch ? request->arch : "", "\"", (const char *)NULL);
		return -ENOSYS;
	}
	rules->link = &rules->first;
	rules->calls = arena_take(arena, arch_call_count(), sizeof(*rules->calls));
	if (!rules->calls)
		return refuse_memory(result);
	ret = parse(&reading, request->policy, request->policy_size, &policy);
	if (!ret)
		ret = read_head(&reading, policy);
	if (!ret && request->flags & POLICY_DOOR1)
		ret = read_door1(&reading, &startup, policy);
	else if (!ret)
		ret = check_startup(&reading, policy);
	return ret ? ret : read_rules(&reading, policy, false);
}

int policy_compile(const struct policy_request *request, unsigned char *code, size_t code_size,
		   void *scratch, size_t scratch_size, struct policy_result *result)
{
	struct arena arena = {.free = scratch, .left = scratch_size};
	struct rules rules = {0};
	int ret;

	memset(result, 0, sizeof(*result));
	ret = read_request(request, &arena, &rules, result);
	if (!ret)
		ret = filter_build(&rules, &arena, code, code_size, result);
	if (ret)
		result->n_insns = 0;
	else
		result->filter_flags = rules.filter_flags;
	return ret;
}

/*
 * The readers' share is bounded by the text: what is made of a rule, a name or a condition is
 * smaller than the shortest text that asks for it times sizeof(struct json) / 2.
 */
size_t policy_scratch_size(size_t policy_size, size_t startup_size)
{
	size_t text;

	/* a text that is too long is refused before it is read */
	if (policy_size > POLICY_MAX_BYTES)
		policy_size = POLICY_MAX_BYTES;
	if (startup_size > POLICY_MAX_BYTES)
		startup_size = POLICY_MAX_BYTES;
	text = policy_size + startup_size;
	return 2 * json_arena_bytes(text) + FIXED_BYTES + filter_arena_bytes() +
	       arch_call_count() * sizeof(struct call);
}
