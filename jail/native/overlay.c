/* SPDX-License-Identifier: MIT */
/*
 * A root of layers. What the steps before have made, directories and links of ours, becomes the
 * uppermost read-only layer: whatever stands below, each place where something is mounted later
 * is a directory of ours. Layers are named by descriptors, so that no path is parsed or looked up
 * again. Runs between clone and exec: no allocation.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mount_calls.h"
#include "steps.h"

#define LAYER_FLAGS (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

int step_lower(struct launch_state *state, struct step *step)
{
	state->lower_fd = step->fd;
	return 0;
}

/* The writable layer and overlayfs's own directory; both stay there if the directory does. */
static int open_upper(struct launch_state *state, int fd)
{
	if ((mkdirat(fd, "upper", 0755) && errno != EEXIST) ||
	    (mkdirat(fd, "work", 0700) && errno != EEXIST))
		return -errno;
	state->upper_fd = openat(fd, "upper", LAYER_FLAGS);
	if (state->upper_fd < 0)
		return -errno;
	state->work_fd = openat(fd, "work", LAYER_FLAGS);
	return state->work_fd < 0 ? -errno : 0;
}

int step_upper(struct launch_state *state, struct step *step)
{
	return open_upper(state, step->fd);
}

int step_upper_memory(struct launch_state *state, struct step *step)
{
	int fd, result;

	if (mount("stockade", NEW_ROOT, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOATIME, step->s[0]))
		return -errno;
	fd = open(NEW_ROOT, LAYER_FLAGS);
	if (fd < 0)
		return -errno;
	result = open_upper(state, fd);
	close(fd);
	return result;
}

/* Add ",NAME=/proc/self/fd/N". The longest row of four is far from 256 bytes. */
static void add_layer(char *options, const char *name, int fd)
{
	strcat(options, name);
	fd_path(options + strlen(options), fd);
}

int step_overlay(struct launch_state *state, struct step *step)
{
	unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOATIME;
	char options[256] = "";
	int result = state->modern ? 0 : seal_stub(state);

	if (result)
		return result;
	state->sealed = true;
	add_layer(options, "lowerdir=", state->root_fd);
	if (state->lower_fd >= 0)
		add_layer(options, ":", state->lower_fd);
	if (state->upper_fd >= 0) {
		add_layer(options, ",upperdir=", state->upper_fd);
		add_layer(options, ",workdir=", state->work_fd);
	} else {
		flags |= MS_RDONLY;
	}
	/* the other attributes are the host's root's to set */
	if (state->inside && state->upper_fd >= 0)
		strcat(options, ",userxattr");
	if (mount("stockade", NEW_ROOT, "overlay", flags, options))
		return -errno;
	close(state->root_fd);
	state->root_fd = open(NEW_ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (state->root_fd < 0 || fchdir(state->root_fd))
		return -errno;
	state->layered = true;
	return 0;
}
