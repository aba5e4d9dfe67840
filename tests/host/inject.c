/* SPDX-License-Identifier: MIT */
/*
 * Lets one system call of a launch fail: the INDEXth that its PROCESSth process makes. Each process
 * makes the same calls in the same order each time, whatever the others do meanwhile.
 *
 *   inject PID GO_FD PROCESS AFTER_EXEC INDEX ERRNO
 *
 * PID, process 0, waits for a byte from GO_FD, which it gets once it is traced. Its calls count from
 * its first sched_yield(2) to its second one. Process 1 is its first child, process 2 the next one;
 * their calls count before their exec, or with AFTER_EXEC 1 from then on, up to a sched_yield(2).
 * With INDEX 0 nothing fails and the number of each counted call is printed.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

/* where PTRACE_POKEUSER finds a call's number, and its result */
#if defined(__x86_64__)
enum { NUMBER = offsetof(struct user, regs.orig_rax), RESULT = offsetof(struct user, regs.rax) };
#elif defined(__i386__)
enum { NUMBER = offsetof(struct user, regs.orig_eax), RESULT = offsetof(struct user, regs.eax) };
#elif defined(__mips__)
/* v0 is both; a3 says that v0 is an errno, which is positive then */
enum { NUMBER = 2, RESULT = 2, IS_ERROR = 7 };
#else
#error "say how this architecture's call number and result are replaced"
#endif

#define PROCESSES 16

static struct process {
	pid_t pid;
	int has_execed;
	int fails; /* the call under way is the one */
} processes[PROCESSES];

static struct process *watched;
static long after_exec, to_fail, fail_errno, counted;
static int yields;

static struct process *find(pid_t pid)
{
	int i;

	for (i = 0; i < PROCESSES; i++) {
		if (!processes[i].pid)
			processes[i].pid = pid;
		if (processes[i].pid == pid)
			return &processes[i];
	}
	exit(98);
}

static int is_counted(const struct process *process)
{
	return process == watched && process->has_execed == after_exec &&
	       (process != &processes[0] || yields == 1);
}

/* At a call's entry: whether it is the one, and let it have no effect. */
static void enter_call(struct process *process, long number)
{
	if (number == SYS_sched_yield) {
		yields += process == &processes[0];
		if (process == watched && (after_exec || yields == 2))
			exit(0); /* the tracees go on by themselves */
		return;
	}
	if (!is_counted(process))
		return;
	counted++;
	if (!to_fail)
		printf("%ld\n", number);
	if (counted != to_fail)
		return;
	process->fails = 1;
	if (number == SYS_close)
		return; /* fails or not, the descriptor is gone: see close(2) */
	/* not -1: a filter that is in force would kill for it */
	ptrace(PTRACE_POKEUSER, process->pid, NUMBER, SYS_getpid);
}

static void leave_call(struct process *process)
{
	if (!process->fails)
		return;
#ifdef __mips__
	ptrace(PTRACE_POKEUSER, process->pid, IS_ERROR, 1);
	ptrace(PTRACE_POKEUSER, process->pid, RESULT, fail_errno);
#else
	ptrace(PTRACE_POKEUSER, process->pid, RESULT, -fail_errno);
#endif
	ptrace(PTRACE_DETACH, process->pid, 0, 0);
	exit(0);
}

static void at_stop(pid_t pid, int status)
{
	struct process *process = find(pid);
	struct __ptrace_syscall_info info;
	const int event = status >> 16;
	int signal = 0;

	if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
		ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info);
		if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
			enter_call(process, info.entry.nr);
		else
			leave_call(process);
	} else if (event == PTRACE_EVENT_EXEC) {
		process->has_execed = 1;
		if (process != watched || !after_exec) {
			ptrace(PTRACE_DETACH, pid, 0, 0);
			return;
		}
	} else if (!event) {
		signal = WSTOPSIG(status);
	}
	ptrace(PTRACE_SYSCALL, pid, 0, signal);
}

int main(int argc, char **argv)
{
	const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
			     PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC;
	int status;
	pid_t pid;

	if (argc != 7)
		return 99;
	pid = find(atoi(argv[1]))->pid;
	watched = &processes[atoi(argv[3])];
	after_exec = atol(argv[4]);
	to_fail = atol(argv[5]);
	fail_errno = atol(argv[6]);
	if (ptrace(PTRACE_SEIZE, pid, 0, options) || ptrace(PTRACE_INTERRUPT, pid, 0, 0))
		return 97;
	if (waitpid(pid, &status, __WALL) != pid || ptrace(PTRACE_SYSCALL, pid, 0, 0))
		return 97;
	if (write(atoi(argv[2]), "", 1) != 1)
		return 97;
	while ((pid = waitpid(-1, &status, __WALL)) > 0)
		if (WIFSTOPPED(status))
			at_stop(pid, status);
	return 0;
}
