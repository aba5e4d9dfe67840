/* SPDX-License-Identifier: MIT */
/* See mount_calls.h. Runs between clone and exec: no allocation, no links followed. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mount_calls.h"
#include "steps.h"

/* musl's <sys/mount.h> has none of these and <linux/mount.h> clashes with glibc's */
#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif
#ifndef OPEN_TREE_CLOEXEC
#define OPEN_TREE_CLOEXEC O_CLOEXEC
#endif
#ifndef MOVE_MOUNT_F_EMPTY_PATH
#define MOVE_MOUNT_F_EMPTY_PATH 0x00000004
#define MOVE_MOUNT_T_EMPTY_PATH 0x00000040
#endif

struct attributes { /* struct mount_attr of the kernel, under a name of our own */
	uint64_t set, clear, propagation, userns_fd;
};

#if defined(SYS_open_tree) && defined(SYS_move_mount) && defined(SYS_mount_setattr) &&             \
	defined(SYS_openat2)

int open_tree_at(int fd, const char *path, unsigned int flags)
{
	return syscall(SYS_open_tree, fd, path,
		       flags | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
}

int attach_tree(int tree_fd, int target_fd)
{
	return syscall(SYS_move_mount, tree_fd, "", target_fd, "",
		       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

int set_attributes(int fd, const char *path, unsigned int flags, uint64_t set, uint64_t propagation)
{
	struct attributes attributes = {.set = set, .propagation = propagation};

	return syscall(SYS_mount_setattr, fd, path, flags, &attributes, sizeof(attributes));
}

static int open_in_root(int root_fd, const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS,
	};

	return syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
}

bool has_modern_mounts(void)
{
	return set_attributes(-1, "", AT_EMPTY_PATH, 0, 0) == 0 || errno != ENOSYS;
}

#else

int open_tree_at(int fd, const char *path, unsigned int flags)
{
	errno = ENOSYS;
	return -1;
}

int attach_tree(int tree_fd, int target_fd)
{
	errno = ENOSYS;
	return -1;
}

int set_attributes(int fd, const char *path, unsigned int flags, uint64_t set, uint64_t propagation)
{
	errno = ENOSYS;
	return -1;
}

static int open_in_root(int root_fd, const char *path)
{
	errno = ENOSYS;
	return -1;
}

bool has_modern_mounts(void)
{
	return false;
}

#endif

/* Open a path below the new root component by component; a symbolic link anywhere is ELOOP. */
static int walk_in_root(int root_fd, const char *path)
{
	int fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 3);

	while (fd >= 0 && *path) {
		char name[NAME_MAX + 1];
		size_t length = strcspn(path, "/");
		struct stat status;
		int next;

		if (length >= sizeof(name)) {
			close(fd);
			errno = ENAMETOOLONG;
			return -1;
		}
		memcpy(name, path, length);
		name[length] = '\0';
		path += length + strspn(path + length, "/");
		if (!length || !strcmp(name, "."))
			continue;
		if (!strcmp(name, "..")) {
			close(fd);
			errno = EXDEV;
			return -1;
		}
		next = openat(fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		close(fd);
		if (next >= 0 && (fstat(next, &status) || S_ISLNK(status.st_mode))) {
			close(next);
			errno = ELOOP;
			return -1;
		}
		fd = next;
	}
	return fd;
}

int open_below(int root_fd, const char *path, bool modern)
{
	return modern ? open_in_root(root_fd, path) : walk_in_root(root_fd, path);
}

void fd_path(char text[32], int fd)
{
	const char prefix[] = "/proc/self/fd/";
	char digits[12];
	int n = 0;

	do
		digits[n++] = '0' + fd % 10;
	while (fd /= 10);
	memcpy(text, prefix, sizeof(prefix) - 1);
	text += sizeof(prefix) - 1;
	while (n)
		*text++ = digits[--n];
	*text = '\0';
}
