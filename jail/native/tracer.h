/* SPDX-License-Identifier: MIT */
/* The tracer as Python sees it; trace.h is what its files share. Part of cffi's cdef. */
#ifndef STOCKADE_TRACER_H
#define STOCKADE_TRACER_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A filter that stops every call of a program and of all that it starts, a loop that
 * counts them. Each stop brings 16 bits from the filter: the ABI in the upper two, the number.
 */
#define TRACE_NATIVE 0 /* this machine's own ABI */
#define TRACE_SECOND 1 /* its 32-bit one */
#define TRACE_HIGH 2 /* native, but above 16383: x32, arm's private calls; the lower 14 bits */
#define TRACE_FOREIGN 3 /* neither; the number is not known */

/* trace_open() flags */
#define TRACE_REGISTERS 1 /* tests: do without what Linux 5.3 brought */
#define TRACE_JAIL 2 /* only what executes with the shim to be loaded, and what that executes */

/* trace_lost() */
#define TRACE_LOST_ARGUMENTS 1 /* of some calls they could not be read */
#define TRACE_LOST_FILES 2 /* more than are kept */
#define TRACE_LOST_CALLS 4 /* the same */
#define TRACE_LOST_PROGRAMS 8 /* the same: the last one is all others */

#define TRACE_VALUE 1 /* the value of an argument */
#define TRACE_PATH 2 /* the path that an argument points to */
#define TRACE_ADDRESS 3 /* the socket address that an argument points to, its size in the next */

struct trace_watch { /* what to look at in a call, beside its number */
	uint32_t abi, number;
	uint32_t what; /* TRACE_VALUE, TRACE_PATH or TRACE_ADDRESS */
	uint32_t index; /* of the argument */
	int32_t folder; /* the argument that a relative path starts from, or -1 */
	int32_t mode; /* the argument that says what is to be done with the file, or -1 */
};

struct trace_count {
	uint32_t program; /* index for trace_program() */
	uint32_t abi, number;
	uint32_t early; /* before the mark of main */
	uint32_t argument; /* 0: the call; n: its argument n - 1 had this value */
	uint32_t reserved;
	uint64_t value;
	uint64_t count; /* 0: a free slot */
};

struct trace_file {
	uint32_t program, abi, number, early;
	uint32_t size; /* of the text */
	uint32_t reserved;
	uint64_t mode;
	char *text; /* a path, perhaps "FOLDER/" first; or a struct sockaddr */
};

/* Returns NULL without memory. `watches` are copied. */
struct trace *trace_open(const struct trace_watch *watches, unsigned int n, unsigned int flags);

/*
 * Make a child that waits, and attach to it: trace_run() lets it put the filter on and execute
 * `path`. Returns its pid, or -errno.
 */
int trace_spawn(struct trace *trace, const char *path, char *const *argv, char *const *envp);

/* The filter itself, struct sock_filter[n] in `code`; returns n, or -E2BIG. */
int trace_filter(unsigned char *code, size_t size);

/* As this signal the first process gets KILL, and once it has ended all that are left */
#define TRACE_SIGNAL_END (_NSIG - 1)

/*
 * Trace until everything has ended. TERM, INT, HUP, QUIT, USR1, USR2, ALRM, WINCH, IO, PWR, URG,
 * CONT, VTALRM, PROF and TRACE_SIGNAL_END go to the first process, later to all. Returns 0 with
 * the first process's wait status, or -errno; then `status` is 1 if the filter could not be put
 * on, 2 if the exec failed, 0 if the tracer itself did.
 */
int trace_run(struct trace *trace, int *status);

/*
 * The results; the memory is the trace's. A slot with a count of 0 is not used. The same program
 * with and without the shim to be loaded are two; a marked one was recorded from main on.
 */
const struct trace_count *trace_counts(const struct trace *trace, size_t *n_slots);
const struct trace_file *trace_files(const struct trace *trace, size_t *n);
const char *trace_program(const struct trace *trace, uint32_t program);
int trace_is_marked(const struct trace *trace, uint32_t program);
unsigned int trace_lost(const struct trace *trace);

void trace_close(struct trace *trace);

#endif
