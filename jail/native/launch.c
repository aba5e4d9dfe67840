/* SPDX-License-Identifier: MIT */
/*
 * The launcher: one call turns a packed plan into a running jail. The first child (PID 1 of
 * the jail) and the second (the service) run in the parent's memory on stacks of their own,
 * one of the three at a time, so that no page table is copied and an error is a plain store.
 * PID 1 makes the jail, starts the service's process and execs the stub; then the service's
 * process gives up its privileges and execs. Everything is decoded and allocated before the
 * clone; between clone and exec nothing is.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "steps.h"

#define STACK_BYTES (64 * 1024) /* of each child; the largest thing on it is 2 KiB */

/* ---- the children ---- */

static int service_main(void *argument);
static int inside_main(void *argument);

/*
 * The service's process waits for the parent's go, and the parent goes on when PID 1 has execed
 * the stub: no instruction of the service runs beside a process that is still privileged or
 * that shares the parent's memory. For a moment after its exec the stub could be taken over by who
 * has its ids, and has no filter yet: that is waited for, too. Waiting, it does not touch errno,
 * which all three share.
 */
static int start_service(struct launch_state *state)
{
	int pid = clone(service_main, state->service_stack, CLONE_VM | SIGCHLD, state);

	if (pid < 0)
		return -errno;
	write_decimal(state->pid_text, pid);
	return 0;
}

/* Run steps from `first` up to and with one that ends a process; returns only on failure. */
static int walk(struct launch_state *state, unsigned int first)
{
	unsigned int i;
	int result = 0;

	for (i = first; !result && i < state->n_steps; i++) {
		state->current = i;
		if (state->steps[i].op == STEP_FORK) {
			result = start_service(state);
		} else if (state->steps[i].op == STEP_USER) {
			state->inside = i + 1;
			result = start_inside(state, &state->steps[i], inside_main);
		} else {
			result = run_step(state, &state->steps[i]);
		}
	}
	return result;
}

static void report_at(struct launch_state *state, int step, int error)
{
	if (state->error)
		return; /* the first one counts */
	state->step = step;
	state->error = error;
}

static void report(struct launch_state *state, int error)
{
	report_at(state, state->current, error);
}

static int service_main(void *argument)
{
	struct launch_state *state = argument;
	char go;
	int pid;

	if (state->inner_fd >= 0)
		close(state->inner_fd); /* its end-of-file says that PID 1 has execed */
	close(state->held_write_fd);
	if (read(state->held_fd, &go, 1) || read(state->life_fd, &go, 1) != 1)
		_exit(127); /* PID 1 has failed, or the parent is gone */
	pid = read_host_pid(state);
	if (pid < 0) {
		report_at(state, LAUNCH_READ_PROC, pid);
		_exit(127);
	}
	state->service_pid = pid;
	if (!state->request->trace || await_tracer(state))
		report(state, walk(state, state->stub_exec + 1));
	_exit(127); /* a filter may be in force: no other call from here on */
}

static int first_main(void *argument)
{
	struct launch_state *state = argument;

	close(state->life_write_fd); /* else nobody here would see the parent's end of it close */
	state->first_pid = syscall(SYS_getpid);
	state->proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (state->proc_fd < 0)
		report_at(state, LAUNCH_READ_PROC, -errno);
	else if (state->stub_exec || !state->request->trace || await_tracer(state))
		report(state, walk(state, 0));
	_exit(125);
}

/* PID 1 in a user namespace of its own; the process that made it is outside. */
static int inside_main(void *argument)
{
	struct launch_state *state = argument;
	int result = await_maps(state);

	state->first_pid = syscall(SYS_getpid);
	if (result)
		report_at(state, LAUNCH_READ_PROC, result);
	else
		report(state, walk(state, state->inside));
	_exit(125);
}

/* ---- the parent ---- */

/* Let the service go if PID 1 is in place, and wait until its program runs or its process is gone.
 * Without a stub both is so already: the clone's vfork has waited for it. */
static void release_service(struct launch_state *state, int pid, int *go_fd, int done_fd)
{
	char byte = 0;

	if (!state->error && state->stub == PROGRESS_EXEC && write(*go_fd, &byte, 1) != 1)
		report(state, -errno);
	if (!state->error && state->request->trace &&
	    (!state->stub_exec || state->stub == PROGRESS_EXEC))
		report(state, attach_tracer(state, pid, *go_fd, done_fd));
	if (!state->error && state->asks && (!state->stub_exec || state->stub == PROGRESS_EXEC))
		report(state, take_listener(state, pid, done_fd));
	close(*go_fd); /* who has not been let go reads end-of-file and ends */
	*go_fd = -1;
	/* The other end is open in the service's process alone; its stack is our memory until then */
	while (read(done_fd, &byte, 1) < 0 && errno == EINTR)
		;
}

/* Returns the signal that it was killed by before, or 0. */
static int end_first(struct launch_state *state, int pid)
{
	int status, signal, ended = waitpid(pid, &status, WNOHANG);
	bool is_over = ended == pid && !WIFSTOPPED(status); /* a tracee's stops are told as well */

	signal = is_over && WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	/* the tracer may have waited for it already, and then the pid is nobody's */
	if (!is_over && ended >= 0)
		kill(pid, SIGKILL);
	/* tracees have to be waited for before PID 1 of their namespace ends */
	do
		ended = waitpid(state->request->trace ? -1 : pid, &status, __WALL);
	while (ended > 0 ? ended != pid || WIFSTOPPED(status) : errno == EINTR);
	/* its memory goes before it can be waited for: what it died by may be known only now, if not ours */
	if (ended == pid && WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
		signal = WTERMSIG(status);
	leave_tracer(state);
	return signal;
}

static void conclude(struct launch_state *state, int pid, struct launch_result *result)
{
	if (!state->error && state->service == PROGRESS_EXEC &&
	    (!state->stub_exec || state->stub == PROGRESS_EXEC)) {
		result->pid = pid;
		result->service_pid = state->stub_exec ? state->service_pid : pid;
		result->listener_fd = state->listener_fd;
		result->step = -1;
		return;
	}
	result->was_killed = !state->error; /* gone without a word, which no step is */
	report(state, -ECHILD);
	if (state->listener_fd >= 0)
		close(state->listener_fd);
	if (pid > 0)
		result->signal = end_first(state, pid);
	result->step = state->step;
	result->error = -state->error;
}

static void clone_first(struct launch_state *state, char *stack, int life[2], int done[2],
			int held[2], struct launch_result *result)
{
	int pid, status, wait = CLONE_VFORK;

	state->life_fd = life[0];
	state->life_write_fd = life[1];
	state->ready_fd = done[1];
	state->held_fd = held[0];
	state->held_write_fd = held[1];
	/* Without a stub the first process is the service, and nobody attaches to it or takes its listener
	 * from inside a vfork */
	if ((state->request->trace || state->asks) && !state->stub_exec)
		wait = 0;
	pid = clone_into_group(state, first_main);
	if (pid < 0)
		pid = clone(first_main, stack, state->outer_namespaces | CLONE_VM | wait | SIGCHLD,
			    state);
	if (pid < 0) {
		result->error = errno;
		return;
	}
	if (state->request->namespaces & CLONE_NEWUSER) {
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		pid = state->first_child;
	}
	close(done[1]);
	if (held[1] >= 0)
		close(held[1]);
	done[1] = held[1] = -1;
	release_service(state, pid, &life[1], done[0]);
	conclude(state, pid, result);
}

static void close_pair(int pair[2])
{
	if (pair[0] >= 0)
		close(pair[0]);
	if (pair[1] >= 0)
		close(pair[1]);
}

static void run(struct launch_state *state, char *stack, struct launch_result *result)
{
	int life[2] = {-1, -1}, done[2] = {-1, -1}, held[2] = {-1, -1};
	const int dumpable = prctl(PR_GET_DUMPABLE);
	sigset_t all, before;

	/* No handler of the parent may run in a child */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	/* Until its exec the service's process runs in this memory under a uid of its own: undumpable
	 * memory cannot be traced or opened through /proc by others of that uid. An ordinary user's
	 * jail is that same user outside, and its maps would be root's files then */
	if ((!geteuid() && prctl(PR_SET_DUMPABLE, 0)) || pipe2(life, O_CLOEXEC) ||
	    pipe2(done, O_CLOEXEC) || (state->stub_exec && pipe2(held, O_CLOEXEC)))
		result->error = errno;
	else
		clone_first(state, stack, life, done, held, result);
	close_pair(life);
	close_pair(done);
	close_pair(held);
	prctl(PR_SET_DUMPABLE, dumpable == 1);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

int launch(const unsigned char *plan, size_t size, const struct launch_request *request,
	   struct launch_result *result)
{
	const size_t bytes = sizeof(struct launch_state) + 15 + 3 * STACK_BYTES;
	/* Shared for a child with memory of its own alone: each page of that costs many times another's */
	const int kind = request->flags & LAUNCH_INTO_GROUP ? MAP_SHARED : MAP_PRIVATE;
	struct launch_state *state;
	char *top;

	*result = (struct launch_result){.step = -1, .listener_fd = -1};
	state = mmap(NULL, bytes, PROT_READ | PROT_WRITE, kind | MAP_ANONYMOUS, -1, 0);
	if (state == MAP_FAILED) {
		result->error = errno;
		return -errno;
	}
	top = (char *)((uintptr_t)((char *)state + bytes) & ~(uintptr_t)15);
	state->service_stack = top - STACK_BYTES;
	state->inside_stack = top - 2 * STACK_BYTES;
	state->outer_fd = state->inner_fd = -1;
	state->request = request;
	state->lower_fd = state->upper_fd = state->work_fd = state->console_fd = -1;
	state->listener_fd = -1;
	/* Into a user namespace goes a child of the first one's making */
	state->outer_namespaces = request->namespaces & CLONE_NEWUSER ? 0 : request->namespaces;
	state->isolated = request->namespaces & CLONE_NEWNS;
	state->modern = !(request->flags & LAUNCH_OLD_KERNEL) && has_modern_mounts();
	result->error = -decode_plan(plan, size, state);
	if (!result->error)
		run(state, top, result);
	free_steps(state);
	munmap(state, bytes);
	return -result->error;
}
