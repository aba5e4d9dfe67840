/* SPDX-License-Identifier: MIT */
/*
 * A filter of the launcher's that asks a supervisor: door 1 of a program that loads no shim, where
 * denials are told by a listener. The service's process puts it on and then waits in a call that
 * such a filter asks about whatever the policy says; the parent copies the listener, answers, and
 * only then the program is executed. The service's own copy closes at that exec.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "mark.h"
#include "notify.h"
#include "steps.h"

#define LOOK_NS 100000 /* between looks for a filter that is being put on */

bool step_asks(const struct step *step)
{
	return step->op == STEP_FILTER && step->a[0] & SECCOMP_FILTER_FLAG_NEW_LISTENER;
}

int ask_from_here(struct launch_state *state, const struct sock_fprog *program, unsigned int flags)
{
	char byte = 0;
	int fd;

	/* the last word that can be said: the parent looks out for the rest */
	if (write(state->ready_fd, &byte, 1) != 1)
		return -errno;
	fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, program);
	if (fd < 0)
		return -errno;
	state->asks_by = fd + 1; /* it may have copies of the listeners of others, until its exec */
	/* Any other answer than the parent's is that of a kernel with nobody to ask */
	return prctl(MARK_LISTENER, 0, 0, 0, 0) == -1 && errno == EINVAL ? 0 : -ENOTCONN;
}

/*
 * Wait until the service's process asks, with a listener, or has put its filter on, without. Returns
 * 1 then, 0 if it is gone: then its end of the pipe is closed, at its exec or with its end. The kernel
 * closes that before the program's first instruction, so the pipe is looked at last.
 */
static int await(const struct launch_state *state, int listener_fd, int done_fd)
{
	const struct timespec look = {.tv_nsec = LOOK_NS};
	struct pollfd fds[] = {{.fd = listener_fd, .events = POLLIN}, {.fd = done_fd}};

	for (;;) {
		if (ppoll(fds, 2, listener_fd < 0 ? &look : NULL, NULL) < 0)
			return -errno;
		if (fds[1].revents)
			return 0;
		if (listener_fd < 0 ? state->asks_by : fds[0].revents & POLLIN)
			return 1;
		if (fds[0].revents)
			fds[0].fd = -1; /* it has ended, and only the pipe is to come */
	}
}

/* Returns 1 once the call that the service's process waits in is answered, 0 if it is gone. */
static int let_pass(const struct launch_state *state, int listener_fd, int done_fd)
{
	struct notify_call call;
	int result = await(state, listener_fd, done_fd);

	if (result <= 0)
		return result;
	result = notify_receive(listener_fd, &call);
	if (result)
		return result == -ENOENT ? 0 : result; /* killed meanwhile */
	if ((uint32_t)call.args[0] != MARK_LISTENER)
		return -EPROTO;
	result = notify_answer(listener_fd, call.id, EINVAL);
	if (result)
		return result == -ENOENT ? 0 : result;
	/* Nothing but the exec comes now, or the end of one that failed, which is told first. The program may
	 * ask before the pipe is closed: PID 1 had it, too, and may be on its way out of its own exec */
	result = await(state, listener_fd, done_fd);
	if (result > 0 && state->error)
		return -EPROTO;
	return result < 0 ? result : 1;
}

/*
 * The service's process by a descriptor: PID 1 of the jail reaps it, and then its number is anybody's. Its
 * end of the pipe is open, so the number was still its own when the descriptor was made. Returns
 * -ESRCH if it has ended.
 */
static int hold_service(const struct launch_state *state, int pid, int done_fd)
{
	struct pollfd done = {.fd = done_fd};
	const int fd = notify_hold(state->stub_exec ? state->service_pid : pid);

	if (fd < 0 || (poll(&done, 1, 0) >= 0 && !done.revents))
		return fd;
	close(fd);
	return -ESRCH;
}

int take_listener(struct launch_state *state, int pid, int done_fd)
{
	int service_fd, result, fd = -1;
	char byte;

	if (read(done_fd, &byte, 1) != 1)
		return 0; /* it has ended, and the reason is known */
	service_fd = hold_service(state, pid, done_fd);
	if (service_fd == -ESRCH)
		return 0;
	result = service_fd < 0 ? service_fd : await(state, -1, done_fd);
	if (result > 0) {
		fd = notify_copy(service_fd, state->asks_by - 1);
		result = fd < 0 ? fd : let_pass(state, fd, done_fd);
	}
	if (service_fd >= 0)
		close(service_fd);
	if (result > 0) {
		state->listener_fd = fd;
		return 0;
	}
	/* It waits for an answer that nobody gives. It dies with our child, whose number is nobody else's */
	if (result < 0)
		kill(pid, SIGKILL);
	if (fd >= 0)
		close(fd);
	return result;
}
