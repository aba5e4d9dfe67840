/* SPDX-License-Identifier: MIT */
/* The beginning and the end of a trace: the first process, and what all of it lies in. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/ptrace.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "trace.h"

#define MAX_WATCHES 255

struct trace *trace_open(const struct trace_watch *watches, unsigned int n, unsigned int flags)
{
	struct trace *trace = calloc(1, sizeof(*trace));
	unsigned int i;

	if (!trace || n > MAX_WATCHES) {
		free(trace);
		return NULL;
	}
	trace->watches = calloc(n + 1, sizeof(*watches));
	if (!trace->watches) {
		free(trace);
		return NULL;
	}
	for (i = 0; i < n; i++) {
		const struct trace_watch *watch = &watches[i];

		trace->watches[i] = *watch;
		if (watch->abi < TRACE_FOREIGN && watch->number <= MESSAGE_NUMBER)
			trace->watch_of[watch->abi << MESSAGE_ABI_SHIFT | watch->number] = i + 1;
	}
	trace->flags = flags;
	trace->go_fd = trace->failure_fd = -1;
	return trace;
}

static int put_filter_on(void)
{
	unsigned char code[32 * sizeof(struct sock_filter)];
	struct sock_fprog program = {.filter = (struct sock_filter *)code};
	const int n = trace_filter(code, sizeof(code));

	if (n < 0)
		return -n;
	program.len = n;
	/* as in a jail, and who is not root can have a filter in no other way */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return errno;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) ? errno : 0;
}

/* The child. Nothing here allocates: it is a copy of somebody else's process. */
static void wait_and_execute(const struct trace *trace, int go_fd, int failure_fd, const char *path,
			     char *const *argv, char *const *envp)
{
	struct failure failure = {.is_filter = 1};
	char go;

	if (read(go_fd, &go, 1) != 1)
		_exit(127);
	/* The interpreter has these ignored, which an exec would keep */
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	sigprocmask(SIG_SETMASK, &trace->mask, NULL);
	failure.error = put_filter_on();
	if (!failure.error) {
		failure.is_filter = 0;
		execve(path, argv, envp);
		failure.error = errno;
	}
	if (write(failure_fd, &failure, sizeof(failure)) < 0)
		_exit(126);
	_exit(127);
}

int trace_seize(struct trace *trace, pid_t pid, pid_t first_pid)
{
	const uintptr_t options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
				  PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;

	if (trace_request(PTRACE_SEIZE, pid, 0, options))
		return -errno;
	if (!add_task(&trace->tasks, pid))
		return -ENOMEM;
	trace->main_pid = pid;
	trace->first_pid = first_pid;
	return 0;
}

int trace_spawn(struct trace *trace, const char *path, char *const *argv, char *const *envp)
{
	int go[2], failure[2], pid, result;

	if (pipe2(go, O_CLOEXEC))
		return -errno;
	if (pipe2(failure, O_CLOEXEC)) {
		result = -errno;
		close(go[0]);
		close(go[1]);
		return result;
	}
	hold_signals(trace);
	pid = fork();
	if (!pid) {
		close(go[1]); /* else the end of the tracer would go unnoticed */
		wait_and_execute(trace, go[0], failure[1], path, argv, envp);
	}
	result = pid < 0 ? -errno : pid;
	close(go[0]);
	close(failure[1]);
	trace->go_fd = go[1];
	trace->failure_fd = failure[0];
	if (pid > 0) {
		const int error = trace_seize(trace, pid, pid);

		result = error ? error : pid;
		trace->first_pid = pid; /* to be ended by trace_close() */
	}
	return result;
}

const struct trace_count *trace_counts(const struct trace *trace, size_t *n_slots)
{
	*n_slots = trace->counts.size;
	return trace->counts.slots;
}

const struct trace_file *trace_files(const struct trace *trace, size_t *n)
{
	*n = trace->files.used;
	return trace->files.list;
}

const char *trace_program(const struct trace *trace, uint32_t program)
{
	return program < trace->n_programs ? trace->programs[program].name : NULL;
}

int trace_is_marked(const struct trace *trace, uint32_t program)
{
	return program < trace->n_programs && trace->programs[program].is_marked;
}

unsigned int trace_lost(const struct trace *trace)
{
	return trace->lost;
}

void trace_close(struct trace *trace)
{
	size_t i;

	/* Not run, or broken off: nobody may go on with a filter that asks a tracer. PID 1 of a jail ends
	 * only when the tracees in it are waited for, so there our own end has to do */
	if (trace->first_pid && !kill(trace->first_pid, SIGKILL) && trace->go_fd >= 0)
		waitpid(trace->first_pid, NULL, __WALL);
	if (trace->go_fd >= 0)
		close(trace->go_fd);
	restore_signals(trace);
	if (trace->failure_fd >= 0)
		close(trace->failure_fd);
	set_image(&trace->ended, NULL);
	for (i = 0; i < trace->tasks.size; i++)
		if (trace->tasks.slots[i].tid)
			set_image(&trace->tasks.slots[i], NULL);
	free(trace->tasks.slots);
	free_notes(trace);
	free(trace->watches);
	free(trace);
}
