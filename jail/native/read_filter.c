/* SPDX-License-Identifier: MIT */
/* The filters of a running process, for `jailctl policy show PID`. */
#include "kernel.h"

#include <errno.h>
#include <linux/filter.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/wait.h>

#ifndef PTRACE_SECCOMP_GET_FILTER /* since Linux 4.4; older libcs do not name it */
#define PTRACE_SECCOMP_GET_FILTER 0x420c
#endif

static int request(int what, int pid, unsigned long address, void *data)
{
	const long ret = ptrace(what, pid, address, data);

	return ret < 0 ? -errno : (int)ret;
}

/* A process must stand still to be asked. It may end meanwhile. */
static int stop(int pid)
{
	int status, ret = request(PTRACE_INTERRUPT, pid, 0, NULL);
	pid_t stopped;

	if (ret < 0)
		return ret;
	do
		stopped = waitpid(pid, &status, __WALL);
	while (stopped < 0 && errno == EINTR);
	if (stopped < 0)
		return -errno;
	if (!WIFSTOPPED(status))
		return -ESRCH;
	/* a stop for a signal, which came first, must hand it on */
	return status >> 16 ? 0 : WSTOPSIG(status);
}

int read_filter(int pid, unsigned int index, unsigned char *code, size_t size)
{
	int signal, ret = request(PTRACE_SEIZE, pid, 0, NULL);

	if (ret < 0)
		return ret;
	signal = stop(pid);
	ret = signal;
	if (signal >= 0)
		ret = request(PTRACE_SECCOMP_GET_FILTER, pid, index, NULL); /* its length */
	if (signal >= 0 && ret >= 0 && (size_t)ret * sizeof(struct sock_filter) > size)
		ret = -E2BIG;
	if (signal >= 0 && ret >= 0)
		ret = request(PTRACE_SECCOMP_GET_FILTER, pid, index, code);
	/* fails if it has ended, and then nothing is left to let go */
	if (signal >= 0)
		request(PTRACE_DETACH, pid, 0, (void *)(long)signal);
	return ret;
}
