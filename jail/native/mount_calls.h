/* SPDX-License-Identifier: MIT */
/* The kernel's mount calls of Linux 5.2 to 5.12, and what stands in for them on older kernels. */
#ifndef STOCKADE_MOUNT_CALLS_H
#define STOCKADE_MOUNT_CALLS_H

#include <stdbool.h>
#include <stdint.h>

/* musl's <sys/mount.h> has none of these and <linux/mount.h> clashes with glibc's */
#ifndef MOUNT_ATTR_RDONLY
#define MOUNT_ATTR_RDONLY 0x00000001
#define MOUNT_ATTR_NOSUID 0x00000002
#define MOUNT_ATTR_NODEV 0x00000004
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

/* These three return -1 and errno, as the calls themselves; ENOSYS where they are not known. */

/* A detached clone of the tree at a path, with all that is mounted below it. */
int open_tree_at(int fd, const char *path, unsigned int flags);

/* Attach a detached tree at what a descriptor refers to. */
int attach_tree(int tree_fd, int target_fd);

/* Set MOUNT_ATTR_ bits and, if that is not 0, the propagation: MS_PRIVATE. */
int set_attributes(int fd, const char *path, unsigned int flags, uint64_t set,
		   uint64_t propagation);

/*
 * Open a path below a root, O_PATH. A symbolic link anywhere in it is ELOOP, and nothing leads
 * out. Without `modern` component by component. Returns -1 and errno.
 */
int open_below(int root_fd, const char *path, bool modern);

/* "/proc/self/fd/N", for the calls that know only paths; the host's /proc must be there. */
void fd_path(char text[32], int fd);

#endif
