/* SPDX-License-Identifier: MIT */
/* What one launch is given beside its plan, and what comes back. Part of cffi's cdef. */
#ifndef STOCKADE_LAUNCH_H
#define STOCKADE_LAUNCH_H

#include <stddef.h>
#include <stdint.h>

/* launch() flags */
#define LAUNCH_OLD_KERNEL 1 /* tests: do without what Linux 5.0 to 5.12 brought */
#define LAUNCH_INTO_GROUP 2 /* the group is new: be born in it, see into_group.c */

#define LAUNCH_READ_PROC (-2) /* a step: the host's /proc did not tell the service's pid */

struct trace;

/* What a launch has beside its plan, which may be used again */
struct launch_request {
	unsigned long namespaces; /* CLONE_NEW* flags */
	unsigned int flags; /* LAUNCH_ */
	int stdio[3]; /* the caller's, for 0, 1 and 2 of the service; -1: the caller's own */
	int net_fd; /* a network namespace for STEP_NETWORK, or -1 */
	int console_fd; /* a socket that STEP_CONSOLE sends the master of the console to, or -1 */
	uint64_t reset[2]; /* bit n-1 for each signal n that the caller handles or ignores */
	struct trace *trace; /* NULL, or attaches to the service, whose filter is trace_filter() */
};

struct launch_result {
	int pid; /* the child: PID 1 of the jail as seen from here, or the service itself */
	int service_pid; /* the service, as seen from here */
	int step; /* index of the step that failed, -1 for the clone, or LAUNCH_READ_PROC */
	int error; /* its errno */
	int listener_fd; /* of the filter that asks, if the plan has one: a new descriptor, else -1 */
	int was_killed; /* no step has failed: a process of ours was gone in the middle of it */
	int signal; /* by which, 0 where that is not known */
};

/*
 * Clone the jail's first process, walk the plan there, start the service. Returns 0 when the
 * service's program runs; else -errno with result->step and result->error set, and nothing is
 * left of the jail.
 */
int launch(const unsigned char *plan, size_t size, const struct launch_request *request,
	   struct launch_result *result);

#endif
