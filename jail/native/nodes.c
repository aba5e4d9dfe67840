/* SPDX-License-Identifier: MIT */
/*
 * Entries of our own in the new root: directories, files, links, device nodes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "steps.h"

/*
 * These make things below the working directory, which is the new root. Nothing
 * foreign is mounted there before the first STEP_BIND, so no path can lead astray; the
 * plan puts them first.
 */
int step_dir(struct launch_state *state, struct step *step)
{
	return mkdir(step->s[0], step->a[0]) ? -errno : 0;
}

int step_file(struct launch_state *state, struct step *step)
{
	int fd, result = 0;

	if (!step->len[1])
		return mknod(step->s[0], S_IFREG | step->a[0], 0) ? -errno : 0;
	fd = open(step->s[0], O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, step->a[0]);
	if (fd < 0)
		return -errno;
	/* a tmpfs takes it whole or has no room */
	if (write(fd, step->s[1], step->len[1]) != (ssize_t)step->len[1])
		result = -ENOSPC;
	close(fd);
	return result;
}

int step_symlink(struct launch_state *state, struct step *step)
{
	return symlink(step->s[1], step->s[0]) ? -errno : 0;
}

int step_node(struct launch_state *state, struct step *step)
{
	return mknod(step->s[0], step->a[0], makedev(step->a[1], step->a[2])) ? -errno : 0;
}

int step_unlink(struct launch_state *state, struct step *step)
{
	return unlink(step->s[0]) ? -errno : 0;
}
