/* SPDX-License-Identifier: MIT */
/*
 * Which machines a policy and its rules are for: `architectures` and the Docker dialect's
 * `archMap`, `includes` and `excludes`. A word that nobody knows is an error here too: a typo
 * in `excludes` would otherwise bring back what it takes away.
 */
#include "rules.h"

#include <errno.h>
#include <string.h>

/* By number (linux/capability.h); a policy may name one that the headers of the build lack. */
static const char capabilities[][24] = {
	"CAP_CHOWN",
	"CAP_DAC_OVERRIDE",
	"CAP_DAC_READ_SEARCH",
	"CAP_FOWNER",
	"CAP_FSETID",
	"CAP_KILL",
	"CAP_SETGID",
	"CAP_SETUID",
	"CAP_SETPCAP",
	"CAP_LINUX_IMMUTABLE",
	"CAP_NET_BIND_SERVICE",
	"CAP_NET_BROADCAST",
	"CAP_NET_ADMIN",
	"CAP_NET_RAW",
	"CAP_IPC_LOCK",
	"CAP_IPC_OWNER",
	"CAP_SYS_MODULE",
	"CAP_SYS_RAWIO",
	"CAP_SYS_CHROOT",
	"CAP_SYS_PTRACE",
	"CAP_SYS_PACCT",
	"CAP_SYS_ADMIN",
	"CAP_SYS_BOOT",
	"CAP_SYS_NICE",
	"CAP_SYS_RESOURCE",
	"CAP_SYS_TIME",
	"CAP_SYS_TTY_CONFIG",
	"CAP_MKNOD",
	"CAP_LEASE",
	"CAP_AUDIT_WRITE",
	"CAP_AUDIT_CONTROL",
	"CAP_SETFCAP",
	"CAP_MAC_OVERRIDE",
	"CAP_MAC_ADMIN",
	"CAP_SYSLOG",
	"CAP_WAKE_ALARM",
	"CAP_BLOCK_SUSPEND",
	"CAP_AUDIT_READ",
	"CAP_PERFMON",
	"CAP_BPF",
	"CAP_CHECKPOINT_RESTORE",
};

static const char *capability_name(unsigned int index)
{
	return index < sizeof(capabilities) / sizeof(capabilities[0]) ? capabilities[index] : NULL;
}

/* What of a condition holds here: at least one word, and every word. */
struct holds {
	bool present, some, all;
};

static int check_arches(const struct reading *reading, const struct json *arches,
			struct holds *holds)
{
	const struct arch *arch = reading->rules->arch;
	int ret = expect(reading, arches, JSON_ARRAY, "arches");

	*holds = (struct holds){.all = true};
	for (const struct json *word = arches->first; word && !ret; word = word->next) {
		bool here;

		ret = expect(reading, word, JSON_STRING, "an architecture");
		if (ret)
			break;
		if (!arch_docker_known(word->string))
			return refuse_word(reading, word, "architecture", word->string,
					   arch_docker_name);
		here = !strcmp(word->string, arch->docker[0]) ||
		       !strcmp(word->string, arch->docker[1]);
		holds->present = true;
		holds->some |= here;
		holds->all &= here;
	}
	return ret;
}

static int check_caps(const struct reading *reading, const struct json *caps, struct holds *holds)
{
	int ret = expect(reading, caps, JSON_ARRAY, "caps");

	*holds = (struct holds){.all = true};
	for (const struct json *word = caps->first; word && !ret; word = word->next) {
		unsigned int i = 0;
		bool here;

		ret = expect(reading, word, JSON_STRING, "a capability");
		if (ret)
			break;
		while (capability_name(i) && strcmp(capability_name(i), word->string))
			i++;
		if (!capability_name(i))
			return refuse_word(reading, word, "capability", word->string,
					   capability_name);
		here = reading->request->capabilities >> i & 1;
		holds->present = true;
		holds->some |= here;
		holds->all &= here;
	}
	return ret;
}

/* "4.8": is the kernel at least that? */
static int check_kernel(const struct reading *reading, const struct json *version,
			struct holds *holds)
{
	unsigned int parts[2] = {0, 0}, part = 0;
	const char *text;
	int ret = expect(reading, version, JSON_STRING, "minKernel");

	if (ret)
		return ret;
	for (text = version->string; *text; text++) {
		if (*text == '.' && part == 0 && text > version->string && text[1])
			part = 1;
		else if (*text >= '0' && *text <= '9' && parts[part] < 1000)
			parts[part] = parts[part] * 10 + (*text - '0');
		else
			break;
	}
	if (*text || !part)
		return refuse(reading, version, "minKernel must look like \"4.8\"");
	holds->present = true;
	holds->some = holds->all = reading->request->kernel >= (parts[0] << 16 | parts[1]);
	return 0;
}

/* One `includes` or `excludes`: what of its three parts holds. */
static int check_part(const struct reading *reading, const struct json *part, struct holds holds[3])
{
	const struct json *arches, *caps, *kernel;
	int ret;

	if (part->kind == JSON_NULL)
		return 0;
	ret = expect(reading, part, JSON_OBJECT, "includes or excludes");
	if (!ret)
		ret = check_keys(reading, part, "arches caps minKernel");
	if (ret)
		return ret;
	arches = json_member(part, "arches");
	caps = json_member(part, "caps");
	kernel = json_member(part, "minKernel");
	if (arches)
		ret = check_arches(reading, arches, &holds[0]);
	if (!ret && caps)
		ret = check_caps(reading, caps, &holds[1]);
	if (!ret && kernel)
		ret = check_kernel(reading, kernel, &holds[2]);
	return ret;
}

/* As Docker does: any architecture, but all capabilities, to include; any to exclude. */
int check_selected(const struct reading *reading, const struct json *rule, bool *excluded)
{
	const struct json *includes = json_member(rule, "includes");
	const struct json *excludes = json_member(rule, "excludes");
	struct holds in[3] = {0}, out[3] = {0};
	int ret = 0;

	if (includes)
		ret = check_part(reading, includes, in);
	if (!ret && excludes)
		ret = check_part(reading, excludes, out);
	*excluded = (in[0].present && !in[0].some) || (in[1].present && !in[1].all) ||
		    (in[2].present && !in[2].some) || out[0].some || out[1].some || out[2].some;
	return ret;
}

/* One SCMP_ARCH_ word: does it name the target? 1, 0 or -errno. */
static int is_target(const struct reading *reading, const struct json *word)
{
	int ret = expect(reading, word, JSON_STRING, "an architecture");

	if (ret)
		return ret;
	if (!arch_scmp_known(word->string))
		return refuse_word(reading, word, "architecture", word->string, arch_scmp_name);
	return !strcmp(word->string, reading->rules->arch->scmp);
}

static int find_target(const struct reading *reading, const struct json *list, bool *found)
{
	int ret = expect(reading, list, JSON_ARRAY, "a list of architectures");

	for (const struct json *word = list->first; word && ret >= 0; word = word->next) {
		ret = is_target(reading, word);
		*found |= ret > 0;
	}
	return ret < 0 ? ret : 0;
}

static int find_in_map(const struct reading *reading, const struct json *map, bool *found)
{
	const struct json *subs, *name;
	int ret = expect(reading, map, JSON_ARRAY, "archMap");

	for (const struct json *entry = map->first; entry && ret >= 0; entry = entry->next) {
		ret = expect(reading, entry, JSON_OBJECT, "an entry of archMap");
		if (!ret)
			ret = check_keys(reading, entry, "architecture subArchitectures");
		if (ret)
			return ret;
		name = json_member(entry, "architecture");
		subs = json_member(entry, "subArchitectures");
		if (!name)
			return refuse(reading, entry, "architecture is missing");
		ret = is_target(reading, name);
		*found |= ret > 0;
		if (ret >= 0 && subs && subs->kind != JSON_NULL)
			ret = find_target(reading, subs, found);
	}
	return ret < 0 ? ret : 0;
}

int check_architectures(const struct reading *reading, const struct json *policy)
{
	const struct json *list = json_member(policy, "architectures");
	const struct json *map = json_member(policy, "archMap");
	bool found = false;
	int ret;

	if (list && map)
		return refuse(reading, map, "a policy has either architectures or archMap");
	if (!list && !map)
		return 0;
	ret = list ? find_target(reading, list, &found) : find_in_map(reading, map, &found);
	if (!ret && !found)
		return refuse(reading, list ? list : map,
			      "the policy is not for this architecture: ",
			      reading->rules->arch->scmp, " is missing");
	return ret;
}
