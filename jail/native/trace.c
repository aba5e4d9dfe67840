/* SPDX-License-Identifier: MIT */
/*
 * The tracer's loop. Tracees are seized, so that a stop by a signal is told apart from the
 * delivery of one: the first is left as it is (LISTEN), of the second the signal is handed
 * on. Each call is one stop, by the filter of trace_filter.c; there are no stops at its end.
 *
 * A new task may stop before its parent's event tells that there is one. It is held until
 * then, or, if the parent is killed before it could tell, until that is known.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/ptrace.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "trace.h"

/* A request fails only when the tracee is being killed, and its end will be told */
static void go_on(pid_t tid, int signal_number)
{
	trace_request(PTRACE_CONT, tid, 0, signal_number);
}

static bool is_group_stop(int status)
{
	const int number = WSTOPSIG(status);

	return number == SIGSTOP || number == SIGTSTP || number == SIGTTIN || number == SIGTTOU;
}

static void leave_stop(struct task *task, int status)
{
	if (is_group_stop(status)) {
		trace_request(PTRACE_LISTEN, task->tid, 0, 0);
		return;
	}
	if (task->is_new)
		bring_here(task);
	task->is_new = false;
	go_on(task->tid, 0);
}

static unsigned long event_message(pid_t tid)
{
	unsigned long message = 0;

	/* after a kill there is none */
	if (trace_request(PTRACE_GETEVENTMSG, tid, 0, (uintptr_t)&message))
		return 0;
	return message;
}

/* ---- whose child ---- */

static void release(struct trace *trace, struct task *task)
{
	const int status = task->held;

	if (!status)
		return;
	task->held = 0;
	trace->n_held--;
	leave_stop(task, status);
}

static int on_birth(struct trace *trace, pid_t parent_tid)
{
	const pid_t tid = event_message(parent_tid);
	struct task *child = tid > 0 ? add_task(&trace->tasks, tid) : NULL;
	struct task *parent = find_task(&trace->tasks, parent_tid); /* the table may have moved */

	if (tid > 0 && !child)
		return -ENOMEM;
	if (child) {
		set_image(child, parent->image);
		release(trace, child);
	}
	go_on(parent_tid, 0);
	return 0;
}

static pid_t read_field(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? atoi(at + strlen(name)) : 0;
}

/* The process that a thread is of, or the parent of a process, if it is still there. */
static struct task *find_origin(const struct trace *trace, pid_t tid)
{
	char path[64], text[512];
	FILE *file;
	size_t size;
	pid_t group;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	file = fopen(path, "re");
	if (!file)
		return NULL;
	size = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[size] = '\0';
	group = read_field(text, "\nTgid:");
	return find_task(&trace->tasks, group != tid ? group : read_field(text, "\nPPid:"));
}

/* Somebody has died, perhaps before it could tell of its child; orphans' parents had before they stopped. */
static void release_held(struct trace *trace, bool orphans_only)
{
	size_t i;

	for (i = 0; trace->n_held && i < trace->tasks.size; i++) {
		struct task *task = &trace->tasks.slots[i];
		const struct task *origin;

		if (!task->tid || !task->held)
			continue;
		origin = find_origin(trace, task->tid);
		if (origin && orphans_only)
			continue;
		set_image(task, origin ? origin->image : trace->ended.image);
		release(trace, task);
	}
}

/* ---- the events ---- */

static void on_end(struct trace *trace, pid_t tid, int status)
{
	struct task *task = find_task(&trace->tasks, tid);

	if (tid == trace->main_pid)
		trace->main_pid = 0;
	if (tid == trace->first_pid) {
		trace->first_status = status;
		trace->first_pid = 0;
		first_has_ended(trace);
	}
	if (!task)
		return;
	if (task->held)
		trace->n_held--;
	task->held = 0;
	set_image(&trace->ended, task->image);
	release_held(trace, false);
	drop_task(&trace->tasks, tid);
}

/* A thread has taken the place of its process; nobody will hear of the thread again. */
static void replace_thread(struct trace *trace, pid_t tid, pid_t former)
{
	struct task *thread = find_task(&trace->tasks, former);

	if (former <= 0 || former == tid)
		return;
	set_image(find_task(&trace->tasks, tid), thread ? thread->image : NULL);
	drop_task(&trace->tasks, former);
}

/* What has just been executed, if it is of those that are traced. */
static int make_image(struct trace *trace, struct task *task)
{
	bool has_shim = will_load_shim(task->tid);
	const bool begins = trace->flags & TRACE_JAIL ? has_shim : task->tid == trace->main_pid;
	struct image *image;

	if (!task->image && !begins)
		return 0;
	image = calloc(1, sizeof(*image));
	if (!image || note_program(trace, task->tid, &has_shim, &image->program)) {
		free(image);
		return -ENOMEM;
	}
	image->is_awaited = has_shim;
	set_image(task, image);
	return 0;
}

static int on_exec(struct trace *trace, pid_t tid)
{
	const pid_t former = event_message(tid);
	int result = -ENOMEM;

	trace->is_started |= tid == trace->main_pid;
	if (add_task(&trace->tasks, tid)) {
		replace_thread(trace, tid, former);
		result = make_image(trace, find_task(&trace->tasks, tid));
	}
	go_on(tid, 0);
	return result;
}

static int on_call(struct trace *trace, pid_t tid, const struct task *task)
{
	const unsigned int message = event_message(tid) & 0xffff;
	struct image *image = task->image;
	int result = 0;

	if (message == MESSAGE_MARK && image) {
		trace->programs[image->program].is_marked |= image->is_awaited;
		image->is_awaited = false;
	} else if (image && note_call(trace, tid, image, message)) {
		result = -ENOMEM;
	}
	go_on(tid, 0);
	return result;
}

static int on_stop(struct trace *trace, pid_t tid, int status)
{
	struct task *task = find_task(&trace->tasks, tid);
	const int event = status >> 16;

	if (!task) {
		task = add_task(&trace->tasks, tid);
		if (!task)
			return -ENOMEM;
		if (event == PTRACE_EVENT_STOP) {
			task->held = status;
			trace->n_held++;
			return 0;
		}
	}
	let_loose(task);
	switch (event) {
	case PTRACE_EVENT_SECCOMP:
		return on_call(trace, tid, task);
	case PTRACE_EVENT_FORK:
	case PTRACE_EVENT_VFORK:
	case PTRACE_EVENT_CLONE:
		return on_birth(trace, tid);
	case PTRACE_EVENT_EXEC:
		return on_exec(trace, tid);
	case PTRACE_EVENT_STOP:
		leave_stop(task, status);
		return 0;
	default:
		go_on(tid, event ? 0 : WSTOPSIG(status));
		return 0;
	}
}

/* ---- the loop ---- */

static int conclude(struct trace *trace, int *status)
{
	struct failure failure;

	*status = trace->first_status;
	if (trace->is_started || trace->failure_fd < 0)
		return 0;
	if (read(trace->failure_fd, &failure, sizeof(failure)) != sizeof(failure))
		return 0; /* killed before its exec */
	*status = failure.is_filter ? 1 : 2;
	return -failure.error;
}

static int work(struct trace *trace)
{
	int status = 0;
	pid_t tid = trace->n_held ? waitpid(-1, &status, __WALL | WNOHANG) : -1;

	if (!tid)
		release_held(trace, true);
	if (tid <= 0)
		tid = next_event(trace, &status);
	if (tid < 0)
		return tid;
	if (WIFSTOPPED(status))
		return on_stop(trace, tid, status);
	on_end(trace, tid, status);
	return 0;
}

int trace_until_exec(struct trace *trace)
{
	int result = 0;

	while (!result && trace->main_pid && !trace->is_started)
		result = work(trace);
	return result;
}

int trace_run(struct trace *trace, int *status)
{
	int result = 0;

	*status = 0;
	forward_signals(trace);
	if (trace->go_fd >= 0 && write(trace->go_fd, "", 1) != 1)
		return -errno;
	while (!result)
		result = work(trace);
	return result == -ECHILD ? conclude(trace, status) : result;
}
