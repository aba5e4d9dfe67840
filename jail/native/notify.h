/* SPDX-License-Identifier: MIT */
/* Calls of a service that wait for a supervisor's word. Part of cffi's cdef. */
#ifndef STOCKADE_NOTIFY_H
#define STOCKADE_NOTIFY_H

#include <stdint.h>

/* A call that waits for the supervisor's word. `pid` is a thread's, as this process knows it. */
struct notify_call {
	uint64_t id;
	uint32_t pid, number;
	uint32_t arch; /* AUDIT_ARCH_ */
	uint32_t reserved;
	uint64_t args[6];
};

/* Whether this kernel lets a supervisor take a listener and hear calls. */
int notify_works(void);

/*
 * Whether root may take that of another user's process, which wants CAP_SYS_PTRACE. The services of an
 * ordinary user are in a user namespace that is his, where he has it.
 */
int notify_may_take(void);

/* A descriptor that holds on to a process, whoever has its number later; or -errno. */
int notify_hold(int pid);

/* Our own copy of a descriptor of the process that is held, or -errno. */
int notify_copy(int pidfd, int number);

/* The listener of a process, of which a program has one at most: -EAGAIN as long as it has none. */
int notify_take(int pid);

/* The next call, once poll(2) says that there is one. Returns 0 or -errno, -ENOENT if it is gone. */
int notify_receive(int fd, struct notify_call *call);

/* Send a signal to the process `pid` that has asked; -ENOENT if the call waits no more, else 0 or -errno. */
int notify_kill(int fd, uint64_t id, int pid, int signal);

/* Let it fail with an errno, or return 0 for the errno 0; -1: let it pass. Returns 0 or -errno. */
int notify_answer(int fd, uint64_t id, int error);

#endif
