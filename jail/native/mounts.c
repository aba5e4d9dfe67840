/* SPDX-License-Identifier: MIT */
/*
 * The file-system steps: the new root, what is in it, and the pivot into it. Runs in the
 * jail's first process before any privilege is dropped. Must not allocate, and must not
 * follow a symbolic link when it mounts.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mount_calls.h"
#include "steps.h"

static int open_target(struct launch_state *state, const char *path)
{
	return open_below(state->root_fd, path, state->modern);
}

int step_private(struct launch_state *state, struct step *step)
{
	const unsigned long propagation = step->a[0] ? MS_SLAVE : MS_PRIVATE;

	return mount(NULL, "/", NULL, MS_REC | propagation, NULL) ? -errno : 0;
}

static uint64_t bind_attributes(uint64_t flags)
{
	/* nosuid always: no file capability and no setuid bit works in a jail */
	return MOUNT_ATTR_NOSUID | (flags & BIND_READ_ONLY ? MOUNT_ATTR_RDONLY : 0) |
	       (flags & BIND_DEVICES ? 0 : MOUNT_ATTR_NODEV) |
	       (flags & BIND_NO_EXEC ? MOUNT_ATTR_NOEXEC : 0);
}

static int open_source(struct launch_state *state, struct step *step)
{
	struct stat status;

	if (step->op != STEP_BIND) /* a layer: no mount is made of it here */
		step->fd = open(step->s[0], O_PATH | O_DIRECTORY | O_CLOEXEC);
	else
		step->fd = state->modern ? open_tree_at(AT_FDCWD, step->s[0], 0)
					 : open(step->s[0], O_PATH | O_CLOEXEC);
	if (step->fd < 0 || fstat(step->fd, &status))
		return -errno;
	/* The plan was made for this very file: another one in its place was not asked for */
	if (status.st_dev != step->a[1] || status.st_ino != step->a[2])
		return -ESTALE;
	return 0;
}

/*
 * The stub is the one program of the host that runs in the jail without being staged, and
 * /proc/1/exe leads to it. It gets a read-only mount that is attached nowhere: root inside
 * could change the host's file through any other.
 */
static int open_stub(struct launch_state *state, struct step *step)
{
	if (!state->modern || !state->isolated) {
		step->fd = open(step->s[1], O_PATH | O_CLOEXEC);
		return step->fd < 0 ? -errno : 0;
	}
	step->fd = open_tree_at(AT_FDCWD, step->s[1], 0);
	if (step->fd < 0 || set_attributes(step->fd, "", AT_EMPTY_PATH,
					   bind_attributes(BIND_READ_ONLY), MS_PRIVATE))
		return -errno;
	return 0;
}

/* Before the new root hides a path; a failure is that of the step whose source it is. */
int step_open(struct launch_state *state, struct step *opening)
{
	unsigned int i;
	int result = 0;

	for (i = 0; !result && i < state->n_steps; i++) {
		struct step *step = &state->steps[i];

		state->current = i;
		if (step->op == STEP_BIND || step->op == STEP_LOWER || step->op == STEP_UPPER)
			result = open_source(state, step);
		else if (step->op == STEP_EXEC_STUB)
			result = open_stub(state, step);
	}
	return result;
}

int step_root(struct launch_state *state, struct step *step)
{
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME;

	umask(0); /* modes below are exact */
	if (mount("stockade", NEW_ROOT, "tmpfs", flags, step->s[0]))
		return -errno;
	state->root_fd = open(NEW_ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (state->root_fd < 0 || fchdir(state->root_fd))
		return -errno;
	return 0;
}

int step_mount(struct launch_state *state, struct step *step)
{
	const char *type = step->s[1];
	const char *options = type + strlen(type) + 1;
	char to[32];
	int fd, result;

	if (strlen(type) >= step->len[1])
		return -EINVAL;
	if (!state->layered && !step->a[1])
		return mount(type, step->s[0], type, step->a[0], options) ? -errno : 0;
	/* the host, or an upper layer that was written to before, may have a link here */
	fd = open_target(state, step->s[0]);
	if (fd < 0)
		return -errno;
	fd_path(to, fd);
	result = mount(type, to, type, step->a[0], options) ? -errno : 0;
	close(fd);
	return result;
}

/* The attributes are in force before the tree can be reached. */
static int attach_modern(int tree_fd, int target_fd, uint64_t flags)
{
	if (set_attributes(tree_fd, "", AT_EMPTY_PATH | AT_RECURSIVE, bind_attributes(flags),
			   flags & BIND_SLAVE ? 0 : MS_PRIVATE))
		return -errno;
	return attach_tree(tree_fd, target_fd) ? -errno : 0;
}

/*
 * Without mount_setattr a tree could be made read-only at its top only, so mounts below a
 * staged directory are not taken along.
 */
static int attach_old(struct launch_state *state, const char *target, int source_fd, int target_fd,
		      uint64_t flags)
{
	unsigned long remount =
		MS_REMOUNT | MS_BIND | MS_NOSUID | (flags & BIND_READ_ONLY ? MS_RDONLY : 0) |
		(flags & BIND_DEVICES ? 0 : MS_NODEV) | (flags & BIND_NO_EXEC ? MS_NOEXEC : 0);
	struct statvfs status;
	char from[32], to[32];
	int mounted_fd, result = 0;

	fd_path(from, source_fd);
	fd_path(to, target_fd);
	if (mount(from, to, NULL, MS_BIND, NULL))
		return -errno;
	mounted_fd = open_target(state, target); /* the same place, now through the mount */
	if (mounted_fd < 0)
		return -errno;
	fd_path(to, mounted_fd);
	if (fstatvfs(mounted_fd, &status)) {
		result = -errno;
	} else {
		/* A remount replaces the flags: those that the host has put on the source's mount stay */
		remount |= status.f_flag & (ST_RDONLY | ST_NODEV | ST_NOEXEC);
		if (mount(NULL, to, NULL, remount, NULL) ||
		    (!(flags & BIND_SLAVE) && mount(NULL, to, NULL, MS_PRIVATE, NULL)))
			result = -errno;
	}
	close(mounted_fd);
	return result;
}

static int attach(struct launch_state *state, struct step *step, int source_fd)
{
	int target_fd = open_target(state, step->s[1]);
	int result;

	if (target_fd < 0)
		return -errno;
	if (state->modern)
		result = attach_modern(source_fd, target_fd, step->a[0]);
	else
		result = attach_old(state, step->s[1], source_fd, target_fd, step->a[0]);
	close(target_fd);
	return result;
}

/* The source stays open until the exec: all of them have been open at once already. */
int step_bind(struct launch_state *state, struct step *step)
{
	const int result = attach(state, step, step->fd);

	/* where each open descriptor is marked by a call of its own */
	if (!state->modern)
		close(step->fd);
	return result;
}

int step_rebind(struct launch_state *state, struct step *step)
{
	int fd = open_target(state, step->s[0]);
	int source_fd, result;

	if (fd < 0)
		return -errno;
	source_fd = state->modern ? open_tree_at(fd, "", AT_EMPTY_PATH) : fd;
	if (source_fd < 0)
		return -errno;
	if (source_fd != fd)
		close(fd);
	result = attach(state, step, source_fd);
	close(source_fd);
	return result;
}

/* As open_stub, with the old calls: mounted below the new root, opened, detached. */
int seal_stub(struct launch_state *state)
{
	struct step *stub = &state->steps[state->stub_exec];
	const char name[] = ".ujail-init";
	int fd, target_fd, result;

	if (mknod(name, S_IFREG, 0))
		return -errno;
	target_fd = open_target(state, name);
	if (target_fd < 0)
		return -errno;
	result = attach_old(state, name, stub->fd, target_fd, BIND_READ_ONLY);
	if (result)
		return result;
	fd = open_target(state, name);
	if (fd < 0 || umount2(name, MNT_DETACH) || unlink(name))
		return -errno;
	close(target_fd);
	close(stub->fd);
	stub->fd = fd;
	return 0;
}

int step_hostname(struct launch_state *state, struct step *step)
{
	return sethostname(step->s[0], step->len[0]) ? -errno : 0;
}

static bool is_same(const char *path, const struct stat *other)
{
	struct stat status;

	return !stat(path, &status) && status.st_dev == other->st_dev &&
	       status.st_ino == other->st_ino;
}

int step_pivot(struct launch_state *state, struct step *step)
{
	struct stat root;
	int result = state->modern || state->sealed ? 0 : seal_stub(state);

	if (result)
		return result;
	if (fstat(state->root_fd, &root))
		return -errno;
	/* The old root lands on top of the new one, where umount2 finds it again */
	if (syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/"))
		return -errno;
	/* ".." at the root crosses into whatever is still mounted over it */
	if (!is_same("/", &root) || !is_same("/..", &root))
		return -EXDEV;
	return 0;
}

/* A remount replaces the flags that the mount has. */
static int remount_read_only(const char *path)
{
	struct statvfs status;

	if (statvfs(path, &status))
		return -1;
	return mount(NULL, path, NULL,
		     MS_REMOUNT | MS_BIND | MS_RDONLY |
			     (status.f_flag & (ST_NOSUID | ST_NODEV | ST_NOEXEC)),
		     NULL);
}

int step_read_only(struct launch_state *state, struct step *step)
{
	struct statvfs status;

	if (state->modern ? set_attributes(AT_FDCWD, step->s[0], 0, MOUNT_ATTR_RDONLY, 0)
			  : remount_read_only(step->s[0]))
		return -errno;
	if (statvfs(step->s[0], &status))
		return -errno;
	return status.f_flag & ST_RDONLY ? 0 : -EROFS;
}
