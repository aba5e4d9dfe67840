/* SPDX-License-Identifier: MIT */
/*
 * Where the launcher and the tracer meet. Under the tracer's filter every call of a process
 * without a tracer fails, and a process that stops for one needs somebody who answers: so the
 * service waits until it is attached to, and the launch goes on with the tracer's loop.
 */
#include <errno.h>
#include <unistd.h>

#include "steps.h"
#include "trace.h"

bool await_tracer(struct launch_state *state)
{
	char go = 0;

	return write(state->ready_fd, &go, 1) == 1 && read(state->life_fd, &go, 1) == 1;
}

int attach_tracer(struct launch_state *state, int pid, int go_fd, int done_fd)
{
	struct trace *trace = state->request->trace;
	char byte = 0;
	int result;

	if (read(done_fd, &byte, 1) != 1)
		return 0; /* it has ended, and the reason is known */
	result = trace_seize(trace, state->stub_exec ? state->service_pid : pid, pid);
	if (!result && write(go_fd, &byte, 1) != 1)
		result = -errno;
	return result ? result : trace_until_exec(trace);
}

void leave_tracer(struct launch_state *state)
{
	/* all that it had was waited for: who has a number of theirs now is not trace_close()'s to end */
	if (state->request->trace)
		state->request->trace->first_pid = 0;
}
