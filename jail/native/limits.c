/* SPDX-License-Identifier: MIT */
/*
 * What bounds the use of the machine: the cgroup, nice value and I/O priority, resource limits. The group
 * comes before all else, so that everything is charged to it; the others while the privilege to
 * raise them is there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel.h"
#include "steps.h"

int step_cgroup(struct launch_state *state, struct step *step)
{
	int fd;

	if (state->in_group)
		return 0;
	fd = open(step->s[0], O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		return -errno;
	close(fd);
	return 0;
}

/* In the group already, which is the root of what the namespace shows. */
int step_cgroup_namespace(struct launch_state *state, struct step *step)
{
	return unshare(CLONE_NEWCGROUP) ? -errno : 0;
}

/* The headers of 2020 have no <linux/ioprio.h>; these are the same on every architecture */
#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_CLASS_SHIFT 13

int step_ioprio(struct launch_state *state, struct step *step)
{
	const int priority = step->a[0] << IOPRIO_CLASS_SHIFT | step->a[1];

	return syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, priority) ? -errno : 0;
}

int read_ioprio(int pid, int *level)
{
	const int priority = syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, pid);

	if (priority < 0)
		return -errno;
	*level = priority & ((1 << IOPRIO_CLASS_SHIFT) - 1);
	return priority >> IOPRIO_CLASS_SHIFT;
}

int step_nice(struct launch_state *state, struct step *step)
{
	return setpriority(PRIO_PROCESS, 0, (int)step->a[0]) ? -errno : 0;
}

/*
 * prlimit64 has 64 bits on 32-bit systems too, and the kernel's own infinity everywhere. But a 32-bit kernel
 * takes a number that it cannot hold for that infinity, so what it took is read back.
 */
int step_rlimit(struct launch_state *state, struct step *step)
{
	struct {
		uint64_t soft, hard;
	} limit, held;

	if (step->a[3] && syscall(SYS_prlimit64, 0, (unsigned int)step->a[0], NULL, &limit))
		return -errno;
	limit.soft = step->a[1];
	if (!step->a[3])
		limit.hard = step->a[2];
	if (syscall(SYS_prlimit64, 0, (unsigned int)step->a[0], &limit, NULL) ||
	    syscall(SYS_prlimit64, 0, (unsigned int)step->a[0], NULL, &held))
		return -errno;
	return held.soft == limit.soft && held.hard == limit.hard ? 0 : -EOVERFLOW;
}
