/* SPDX-License-Identifier: MIT */
/*
 * The top of the compiler: take the texts apart by dialect, put the rules of all of them in
 * order, and hand them to filter.c. Nothing here knows BPF.
 */
#include "rules.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>

#define FIXED_BYTES 4096 /* request-sized odds and ends */
#define SHIM_COMMENT "shim" /* marks the start-up rules that every door-1 filter needs */

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
	return ret ? ret : add_exact(&early, "execve", SECCOMP_RET_ALLOW, request->exec_pin, 3);
}

/*
 * The policy's start-up names are checked at either door. An exec among them would be allowed
 * with any arguments, where door 1 pins the launcher's own.
 */
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
		if (!ret && (!strcmp(name->string, "execve") || !strcmp(name->string, "execveat")))
			ret = refuse(reading, name, "startup cannot hold ", name->string);
	}
	return ret;
}

/* Both texts into rules. */
int read_request(const struct policy_request *request, struct arena *arena, struct rules *rules,
		 struct policy_result *result)
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
	if (!ret)
		ret = check_startup(&reading, policy);
	if (!ret && has_listener(request->flags))
		ret = add_mark(&startup);
	if (!ret && request->flags & POLICY_DOOR1)
		ret = read_door1(&reading, &startup, policy);
	if (!ret)
		ret = read_rules(&reading, policy, false);
	apply_mode(request, rules);
	return ret;
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
