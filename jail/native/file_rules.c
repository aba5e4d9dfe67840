/* SPDX-License-Identifier: MIT */
/*
 * Landlock rules that follow the mounts: everything in the jail can be read and executed, and only what is
 * mounted writable can be written, should a way be found around a read-only mount. Made while every
 * place can be reached, put on once no_new_privs is. Runs between clone and exec: no allocation.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel.h"
#include "mount_calls.h"
#include "steps.h"

/* What headers before Linux 5.19, 6.2 and 6.10 do not have; the same on every architecture */
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

#define READING                                                                                    \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define OF_FILES                                                                                   \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE |                               \
	 LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE)

/* Rules for all kinds of access that this kernel can deny. Returns a descriptor or -errno. */
static int make_rules(uint64_t *all)
{
	int fd;

	*all = LANDLOCK_ACCESS_FS_TRUNCATE | (LANDLOCK_ACCESS_FS_TRUNCATE - 1);
	fd = syscall(SYS_landlock_create_ruleset, all, sizeof(*all), 0);
	if (fd < 0 && errno == EINVAL) { /* before Linux 6.2 */
		*all &= ~LANDLOCK_ACCESS_FS_TRUNCATE;
		fd = syscall(SYS_landlock_create_ruleset, all, sizeof(*all), 0);
	}
	return fd < 0 ? -errno : fd;
}

static int allow(int rules_fd, int fd, const struct stat *status, uint64_t access)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = fd};

	if (!S_ISDIR(status->st_mode))
		rule.allowed_access &= OF_FILES;
	return syscall(SYS_landlock_add_rule, rules_fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0)
		       ? -errno
		       : 0;
}

/* Who enters a jail has its services as neighbours: a link that one puts in the way is an error. */
static int allow_below(int rules_fd, int root_fd, const char *path, bool modern, uint64_t access)
{
	int fd = open_below(root_fd, path + strspn(path, "/"), modern);
	struct stat status;
	int result;

	if (fd < 0)
		return -errno;
	result = fstat(fd, &status) ? -errno : allow(rules_fd, fd, &status, access);
	close(fd);
	return result;
}

/*
 * What was given as 0, 1 or 2 may be opened again through /dev/stdout, for what it was opened for.
 * Pipes and sockets (EBADFD) always may; of a directory nothing, it would be a way out.
 */
static int allow_given(int rules_fd, int fd, uint64_t all)
{
	static const uint64_t access[] = {
		[O_RDONLY] = LANDLOCK_ACCESS_FS_READ_FILE,
		[O_WRONLY] = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE,
		[O_RDWR] = OF_FILES & ~LANDLOCK_ACCESS_FS_EXECUTE,
	};
	const int flags = fcntl(fd, F_GETFL);
	struct stat status;
	int result;

	if (flags < 0 || (flags & O_ACCMODE) > O_RDWR || fstat(fd, &status) ||
	    S_ISDIR(status.st_mode))
		return 0; /* no rule, no access */
	result = allow(rules_fd, fd, &status, access[flags & O_ACCMODE] & all);
	return result == -EBADFD ? 0 : result;
}

int step_file_rules(struct launch_state *state, struct step *step)
{
	const struct stat directory = {.st_mode = S_IFDIR};
	const char *path = step->s[0];
	uint64_t all, i;
	int root_fd, fd, result;

	state->rules_fd = make_rules(&all);
	if (state->rules_fd < 0)
		return state->rules_fd;
	root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return -errno;
	result = allow(state->rules_fd, root_fd, &directory, READING);
	for (i = 0; !result && i < step->a[0] && path < step->s[0] + step->len[0]; i++) {
		result = allow_below(state->rules_fd, root_fd, path, state->modern, all);
		path += strlen(path) + 1;
	}
	close(root_fd);
	if (!result && i != step->a[0])
		return -EINVAL;
	for (fd = 0; !result && fd < 3; fd++)
		result = allow_given(state->rules_fd, fd, all);
	return result;
}

int step_file_rules_hold(struct launch_state *state, struct step *step)
{
	return syscall(SYS_landlock_restrict_self, state->rules_fd, 0) ? -errno : 0;
}
