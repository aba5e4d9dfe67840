/* SPDX-License-Identifier: MIT */
/* What the files of the tracer share. tracer.h has what Python sees of it. */
#ifndef STOCKADE_TRACE_H
#define STOCKADE_TRACE_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "tracer.h"

/* The 16 bits that the filter gives with each stop: two of the ABI, 14 of the number */
#define MESSAGE_ABI_SHIFT 14
#define MESSAGE_NUMBER ((1 << MESSAGE_ABI_SHIFT) - 1)
#define MESSAGE_FOREIGN (TRACE_FOREIGN << MESSAGE_ABI_SHIFT)
#define MESSAGE_MARK (MESSAGE_FOREIGN | 1) /* main begins */

#define N_SIGNALS 15 /* that are handed on */

/* What one exec made: shared by the threads and forks that have not executed anything since */
struct image {
	unsigned int users;
	uint32_t program;
	bool is_awaited; /* it has loaded the shim, or will, which has not marked its main yet */
};

struct program {
	char *name;
	bool has_shim; /* was executed with the shim to be loaded; the same without is another one */
	bool is_marked;
};

struct task {
	pid_t tid; /* 0: a free slot */
	struct image *image; /* NULL before the exec that starts the trace */
	int held; /* the stop in which it waits for its parent's event, which says whose it is; or 0 */
	unsigned long processors; /* those of its own, while it has one only; or 0 */
	bool is_new; /* has not run yet */
};

struct tasks { /* open addressing, the size is a power of two */
	struct task *slots;
	size_t size, used;
};

struct counts { /* the same */
	struct trace_count *slots;
	size_t size, used;
};

struct files { /* in the order of their appearance, and an index by content */
	struct trace_file *list;
	uint32_t *index; /* position + 1 */
	size_t size, used;
	size_t bytes; /* of their names */
};

struct trace {
	struct tasks tasks;
	struct task ended; /* has but an image: that of the last one that has ended */
	struct counts counts;
	struct files files;
	struct program *programs;
	size_t n_programs;
	struct trace_watch *watches;
	uint8_t watch_of[1 << 16]; /* by the filter's 16 bits: index + 1 */
	unsigned int flags;
	unsigned int lost; /* TRACE_LOST_ bits */
	unsigned int n_held;
	pid_t main_pid; /* the program that was started; 0 once it has ended */
	pid_t first_pid; /* gets the signals: the same, or its parent, PID 1 of a jail; 0 once it has ended */
	int first_status;
	int go_fd, failure_fd; /* of a child of our own: lets it go on; a struct failure */
	sigset_t mask; /* as it was */
	struct sigaction actions[N_SIGNALS]; /* as they were */
	bool is_started, is_holding, is_forwarding;
};

struct failure {
	int is_filter; /* it could not be put on; else the exec failed */
	int error;
};

struct call {
	uint64_t args[6];
};

/* trace_start.c: attach to a process that waits; `first_pid` is our child, itself or its parent. 0 or -errno */
int trace_seize(struct trace *trace, pid_t pid, pid_t first_pid);

/* trace.c: until it has executed something, or has ended. Returns 0 or -errno. */
int trace_until_exec(struct trace *trace);

/* trace_call.c: the arguments of the call that a tracee has stopped at. Returns 0 or -errno. */
int read_call(pid_t tid, unsigned int flags, struct call *call);

/* trace_call.c: ptrace without the libc's own ideas of its types and results. */
long trace_request(int request, pid_t tid, uintptr_t address, uintptr_t value);

/* trace_call.c: whether a process that has just executed something has the shim in LD_PRELOAD */
bool will_load_shim(pid_t tid);

/*
 * trace_note.c: what a call is counted as, what its arguments say. Return 0 or -ENOMEM. `has_shim` becomes
 * false for one program too many.
 */
int note_call(struct trace *trace, pid_t tid, const struct image *image, unsigned int message);
int note_program(struct trace *trace, pid_t tid, bool *has_shim, uint32_t *program);
void free_notes(struct trace *trace);

/* trace_signals.c: held until there is somebody to hand them to; for the first process; for all */
void hold_signals(struct trace *trace);
void forward_signals(struct trace *trace);
void first_has_ended(struct trace *trace);
void restore_signals(struct trace *trace);

/* trace_signals.c: the next task that has something to tell; -ECHILD when none is left */
pid_t next_event(const struct trace *trace, int *status);

/* trace_tasks.c: who is traced */
struct task *find_task(const struct tasks *tasks, pid_t tid);
struct task *add_task(struct tasks *tasks, pid_t tid); /* or the one that is there; NULL: memory */
void drop_task(struct tasks *tasks, pid_t tid);
void set_image(struct task *task, struct image *image);

/* trace_place.c: a new one has the tracer's processor alone; it has its own again */
void bring_here(struct task *task);
void let_loose(struct task *task);

/* trace_note.c: memory of a tracee; how much of it could be read */
size_t read_memory(pid_t tid, uint64_t address, char *out, size_t size);

#endif
