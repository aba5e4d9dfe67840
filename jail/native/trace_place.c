/* SPDX-License-Identifier: MIT */
/*
 * Where a new tracee runs. The kernel puts it on another processor than its parent's, which is the
 * tracer's, and then each stop wakes up two processors: many times what a stop costs. So it may run
 * on the tracer's alone until its first stop, which comes before its first call: it cannot see that.
 * From then on the kernel keeps those together who wake each other up.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "trace.h"

/* With more processors than a word has bits the kernel refuses, and things stay as they are */
#define MOST ((int)sizeof(unsigned long) * CHAR_BIT)

static long set_processors(pid_t tid, unsigned long set)
{
	return syscall(SYS_sched_setaffinity, (long)tid, sizeof(set), &set);
}

void bring_here(struct task *task)
{
	const int number = sched_getcpu();
	const unsigned long here = number >= 0 && number < MOST ? 1UL << number : 0;
	unsigned long all = 0;

	if (syscall(SYS_sched_getaffinity, (long)task->tid, sizeof(all), &all) < 0)
		return;
	if ((all & here) && all != here && !set_processors(task->tid, here))
		task->processors = all;
}

void let_loose(struct task *task)
{
	if (task->processors)
		set_processors(task->tid, task->processors);
	task->processors = 0;
}
