/* SPDX-License-Identifier: MIT */
/* A path that leads through no link, told in one call: each start of a jail asks it of many. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "kernel.h"

/* Of what `path` ends in: nothing, ".", "..", a link, or what is not there are not straight. */
static int is_straight_end(const char *path, const char *name)
{
	char letter;

	if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
		return 0;
	return readlink(path, &letter, 1) < 0 && errno == EINVAL;
}

int is_straight(const char *path)
{
	char here[PATH_MAX];
	size_t at, name = 1;

	if (path[0] != '/' || strlen(path) >= sizeof(here))
		return 0;
	for (at = 0;; at++) {
		if (at && (path[at] == '/' || !path[at])) {
			here[at] = '\0';
			if (!is_straight_end(here, here + name))
				return 0;
			name = at + 1;
		}
		if (!path[at])
			return 1;
		here[at] = path[at];
	}
}
