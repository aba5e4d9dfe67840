/* SPDX-License-Identifier: MIT */
/*
 * A first process that is born in its control group. One that joins it later waits for all of the
 * machine's CPUs to have rested once, ten milliseconds and more during which the launcher waits too.
 *
 * Not in a group that was killed before (cgroup.kill): newer kernels, 6.18 for one, kill at once what is
 * born there. Who joins it is left alone.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "steps.h"

#if defined(SYS_clone3)

#define INTO_GROUP 0x200000000ULL /* CLONE_INTO_CGROUP, which libc's headers may not know */

struct clone_arguments { /* struct clone_args of the kernel, as of Linux 5.7 */
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
		set_tid_size, group_fd;
};

/* The directory of the group, or -1. `file` is its cgroup.procs. */
static int open_group(const char *file)
{
	const char *slash = strrchr(file, '/');
	char folder[PATH_MAX];
	size_t length = slash ? (size_t)(slash - file) : 0;

	if (!length || length >= sizeof(folder))
		return -1;
	memcpy(folder, file, length);
	folder[length] = '\0';
	return open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/*
 * A child with memory of its own, for libc has no call that gives it a stack in ours; what is to be
 * told is in shared pages anyway. Returns the pid; -1 where this cannot be had, which the joining
 * step makes up for.
 */
int clone_into_group(struct launch_state *state, int (*first)(void *))
{
	struct clone_arguments arguments = {
		.flags = state->outer_namespaces | CLONE_VFORK | INTO_GROUP,
		.exit_signal = SIGCHLD,
	};
	unsigned int i = 0;
	int fd, pid;

	while (i < state->n_steps && state->steps[i].op != STEP_CGROUP)
		i++;
	if (i == state->n_steps || state->request->trace || (state->asks && !state->stub_exec) ||
	    !(state->request->flags & LAUNCH_INTO_GROUP) ||
	    state->request->flags & LAUNCH_OLD_KERNEL)
		return -1;
	fd = open_group(state->steps[i].s[0]);
	if (fd < 0)
		return -1;
	arguments.group_fd = fd;
	state->in_group = true;
	pid = syscall(SYS_clone3, &arguments, sizeof(arguments));
	if (!pid)
		_exit(first(state));
	close(fd);
	if (pid < 0)
		state->in_group = false;
	return pid;
}

#else

int clone_into_group(struct launch_state *state, int (*first)(void *))
{
	return -1;
}

#endif
