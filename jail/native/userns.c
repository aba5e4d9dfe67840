/* SPDX-License-Identifier: MIT */
/*
 * The user namespace. The launcher's first child stays outside of it: it makes PID 1 as its
 * sibling, a child of the same parent, and writes the maps, which nobody inside may do. The
 * parent's vfork waits for this process, so it ends when PID 1 has execed, as PID 1's own exec
 * does it in a launch without a user namespace. Runs between clone and exec: no allocation.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "steps.h"

/* In one write, as the kernel takes a map. */
static int write_file(int folder_fd, const char *path, const char *text, size_t size)
{
	int fd = openat(folder_fd, path, O_WRONLY | O_CLOEXEC);
	ssize_t written;
	int result;

	if (fd < 0)
		return -errno;
	written = write(fd, text, size);
	result = written < 0 ? -errno : written == (ssize_t)size ? 0 : -EIO;
	close(fd);
	return result;
}

static int write_maps(struct launch_state *state, struct step *step)
{
	char pid[12];
	int fd, result;

	write_decimal(pid, state->inside_pid);
	fd = openat(state->proc_fd, pid, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	result = step->a[0] ? write_file(fd, "setgroups", "deny", 4) : 0;
	if (!result)
		result = write_file(fd, "uid_map", step->s[0], step->len[0]);
	if (!result)
		result = write_file(fd, "gid_map", step->s[1], step->len[1]);
	close(fd);
	return result;
}

int start_inside(struct launch_state *state, struct step *step, int (*first)(void *))
{
	int ends[2], result;
	char byte;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return -errno;
	state->outer_fd = ends[0];
	state->inner_fd = ends[1];
	state->first_child =
		clone(first, state->inside_stack,
		      state->request->namespaces | CLONE_VM | CLONE_PARENT | SIGCHLD, state);
	if (state->first_child < 0)
		return -errno;
	close(ends[1]);
	if (read(ends[0], &byte, 1) != 1)
		_exit(125); /* PID 1 has said why, or is gone */
	result = write_maps(state, step);
	if (!result && write(ends[0], "", 1) != 1)
		result = -errno;
	if (result)
		return result;
	/* End-of-file: PID 1 has execed or is gone, and the service's process has closed its own copy */
	while (read(ends[0], &byte, 1) > 0)
		;
	_exit(0);
}

int await_maps(struct launch_state *state)
{
	char byte;
	int pid;

	close(state->outer_fd);
	pid = read_host_pid(state);
	if (pid < 0)
		return pid;
	state->inside_pid = pid;
	if (write(state->inner_fd, "", 1) != 1 || read(state->inner_fd, &byte, 1) != 1)
		_exit(125); /* the process outside has said why */
	return 0;
}

int step_write_proc(struct launch_state *state, struct step *step)
{
	return write_file(state->proc_fd, step->s[0], step->s[1], step->len[1]);
}

int step_own(struct launch_state *state, struct step *step)
{
	const uid_t uid = step->a[0];
	const gid_t gid = step->a[1];
	int fd = open(step->s[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat status;
	int result = 0;

	if (fd < 0)
		return -errno;
	/* The plan was made for this very directory */
	if (fstat(fd, &status))
		result = -errno;
	else if (status.st_dev != step->a[2] || status.st_ino != step->a[3])
		result = -ESTALE;
	else if (fchown(fd, uid, gid))
		result = -errno;
	close(fd);
	return result;
}
