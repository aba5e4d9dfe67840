/* SPDX-License-Identifier: MIT */
/* The environment of the program, in which nothing of the shim is to be left when main begins. */
#include <stdbool.h>
#include <string.h>

#include "shim.h"

char *find_variable(char **envp, const char *name)
{
	const size_t length = strlen(name);

	for (; *envp; envp++)
		if (!strncmp(*envp, name, length) && (*envp)[length] == '=')
			return *envp + length + 1;
	return NULL;
}

/* Take a variable out; every occurrence, as unsetenv does. */
static void drop(char **envp, const char *name)
{
	const size_t length = strlen(name);
	char **to = envp;

	for (; *envp; envp++)
		if (strncmp(*envp, name, length) || (*envp)[length] != '=')
			*to++ = *envp;
	*to = NULL;
}

static bool is_ours(const char *entry, size_t length)
{
	const size_t own = strlen(SHIM_NAME);

	return length >= own && !memcmp(entry + length - own, SHIM_NAME, own) &&
	       (length == own || entry[length - own - 1] == '/');
}

/* Take our entries out of LD_PRELOAD where it stands; the loader splits at spaces and colons. */
static void drop_own_entry(char **envp)
{
	char *list = find_variable(envp, "LD_PRELOAD");
	char *to = list;
	const char *from = list;

	while (list && *from) {
		const size_t length = strcspn(from, ": ");

		if (length && !is_ours(from, length)) {
			if (to != list)
				*to++ = ':';
			memmove(to, from, length);
			to += length;
		}
		from += length;
		from += strspn(from, ": ");
	}
	if (!list)
		return;
	*to = '\0';
	if (to == list)
		drop(envp, "LD_PRELOAD");
}

void clean_environment(char **envp)
{
	drop(envp, "SECCOMP_FILE");
	drop(envp, "SECCOMP_DEBUG");
	drop(envp, "SECCOMP_MODE");
	drop_own_entry(envp);
}
