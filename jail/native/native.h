/* SPDX-License-Identifier: MIT */
/*
 * What Python may call beside the policy compiler. This file is also cffi's cdef:
 * plain declarations and constants, no conditionals that matter to Python.
 */
#ifndef STOCKADE_NATIVE_H
#define STOCKADE_NATIVE_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A plan is a row of steps without gaps. Each is a struct wire_step in the byte
 * order of this machine, `len[0]` bytes and a NUL, `len[1]` bytes and a NUL. What
 * a[] and the two texts mean is said beside each operation.
 */
struct wire_step {
	uint32_t op;
	uint32_t len[2];
	uint32_t reserved;
	uint64_t a[4];
};

/* Set-up, run by the process that becomes PID 1 of the jail */
#define STEP_PRIVATE 1 /* no mount event goes to the host; a0: 1 lets them come from there */
#define STEP_ROOT 2 /* s0 options: a tmpfs becomes the new root and the working directory */
#define STEP_DIR 3 /* s0 path below the new root, a0 mode */
#define STEP_FILE 4 /* s0 path, a0 mode, s1 what is in it */
#define STEP_SYMLINK 5 /* s0 path, s1 what it says */
#define STEP_NODE 6 /* s0 path, a0 mode with type, a1 major, a2 minor */
#define STEP_MOUNT                                                                                 \
	7 /* s0 path, s1 "fstype\0options", a0 MS_ flags, a1: 1 where the path may have links */
#define STEP_BIND 8 /* s0 source, s1 target, a0 BIND_ flags, a1 st_dev, a2 st_ino */
#define STEP_REBIND 9 /* s0 path in the new root, s1 target, a0 BIND_ flags */
#define STEP_UNLINK 10 /* s0 path */
#define STEP_HOSTNAME 11 /* s0 name */
#define STEP_PIVOT 12 /* the new root becomes /; the old one is gone, and that is checked */
#define STEP_READ_ONLY 13 /* s0 path: the mount becomes read-only, and that is checked */
#define STEP_BOUNDING 14 /* a0 capabilities that stay; looked at are a1 (first) to a2 (last) */

/* Then PID 1 goes on up to STEP_EXEC_STUB; what follows that runs in the service's process. A plan without
 * these two is walked by the service's own process, a direct child */
#define STEP_FORK 15
#define STEP_SESSION 16
#define STEP_UMASK 17 /* a0 mask */
#define STEP_STDIO_NULL 18 /* 0, 1 and 2 become /dev/null */
#define STEP_CLOSE 19 /* every descriptor from 3 on closes at exec */
#define STEP_CHDIR 20 /* s0 path */
#define STEP_SECUREBITS 21 /* a0 bits */
#define STEP_GROUPS 22 /* s0 gid_t[n] in binary */
#define STEP_GID 23 /* a0 */
#define STEP_UID 24 /* a0 */
#define STEP_CAPABILITIES 25 /* a0 effective, a1 permitted, a2 inheritable */
#define STEP_AMBIENT 26 /* a0 capabilities */
#define STEP_DIE_WITH_PARENT 27
#define STEP_NO_NEW_PRIVS 28
#define STEP_FILTER 29 /* s0 struct sock_filter[n], a0 SECCOMP_FILTER_FLAG_ bits */
#define STEP_SIGNALS 30 /* launch_request.reset: those become the default; then none is blocked */
#define STEP_EXEC 31 /* s0 "path\0argv[0]\0...", a0 argc, s1 "VAR=value\0...", a1 envc */
#define STEP_EXEC_STUB 32 /* s0 "argv[0]\0...", a0 argc, s1 program; appended: the service's pid */
#define STEP_OPEN                                                                                  \
	33 /* open the sources of all STEP_BINDs and the stub, while the paths lead to them */
#define STEP_STDIO 34 /* launch_request.stdio become 0, 1 and 2 */
#define STEP_NICE 35 /* a0 nice value, two's complement */
#define STEP_RLIMIT 36 /* a0 RLIMIT_, a1 soft, a2 hard, a3: 1 to leave the hard limit as it is */
#define STEP_CGROUP                                                                                \
	37 /* s0 a group's cgroup.procs: this process joins it, and all that come after */
#define STEP_SETNS 38 /* s0 pid, a0 when it began, s1 "ns/net\0ns/ipc\0...", a1 how many */
#define STEP_LOWER 39 /* s0 directory, a1 st_dev, a2 st_ino: a layer below what was made so far */
#define STEP_UPPER 40 /* the same: "upper" and "work" in it take what is written */
#define STEP_UPPER_MEMORY 41 /* s0 options: the same in a tmpfs */
#define STEP_OVERLAY 42 /* the layers become the new root; read-only without an upper one */
#define STEP_LOOPBACK 43 /* lo of this network namespace is up */
#define STEP_NETWORK 44 /* enter the network namespace launch_request.net_fd */
#define STEP_PORTS 45 /* s0 {uint64_t PORT_ bits, port}[n]: other TCP ports are closed */
#define STEP_USER                                                                                  \
	46 /* s0 uid_map, s1 gid_map, a0: 1 to deny setgroups; all that follows is inside */
#define STEP_WRITE_PROC 47 /* s0 file below the host's /proc, s1 what is written */
#define STEP_OWN 48 /* s0 directory, a0 uid, a1 gid, a2 st_dev, a3 st_ino: it belongs to them */
#define STEP_CGROUP_NAMESPACE 49 /* the group that this process is in is the root from now on */
#define STEP_KEYRING 50 /* a session keyring of its own, if the kernel has any */
#define STEP_IOPRIO 51 /* a0 IO_ class, a1 level */
#define STEP_FILE_RULES 52 /* s0 "path\0path\0...", a0 how many: what can be written, by Landlock */
#define STEP_FILE_RULES_HOLD 53 /* they are in force from now on */
#define STEP_CONSOLE                                                                               \
	54 /* s0 ptmx of the new root, a0 uid: its terminal 0, whose master goes to console_fd */
#define STEP_CONSOLE_STDIO 55 /* that becomes 0, 1 and 2; a0: 1 to control the session too */
#define STEP_LAST STEP_CONSOLE_STDIO

/* STEP_IOPRIO */
#define IO_REALTIME 1
#define IO_BEST_EFFORT 2
#define IO_IDLE 3

/* STEP_PORTS */
#define PORT_BIND 1
#define PORT_CONNECT 2

/* STEP_BIND and STEP_REBIND */
#define BIND_READ_ONLY 1
#define BIND_DEVICES 2 /* device nodes work through it */
#define BIND_NO_EXEC 4 /* no program in it can be executed */
#define BIND_SLAVE 8 /* what the host mounts in it later is there too, with the host's flags */

/*
 * Stand-ins for the three argument pointers of the service's execve in a compiled
 * filter; the launcher puts the real ones in their place. On 32-bit targets only the
 * low words are used.
 */
#define EXEC_PIN_PATH 0x5b7e19a35a11c0d1ULL
#define EXEC_PIN_ARGV 0x5b7e19a45a11c0d2ULL
#define EXEC_PIN_ENVP 0x5b7e19a55a11c0d3ULL

/* Where the ABI stands in struct seccomp_data */
#define SECCOMP_DATA_ARCH offsetof(struct seccomp_data, arch)

/* launch() flags */
#define LAUNCH_OLD_KERNEL 1 /* tests: do without what Linux 5.0 to 5.12 brought */
#define LAUNCH_JOIN_GROUP 2 /* the group is an old one, see into_group.c */

#define LAUNCH_READ_PROC (-2) /* a step: the host's /proc did not tell the service's pid */

struct trace;

/* What a launch has beside its plan, which may be used again */
struct launch_request {
	unsigned long namespaces; /* CLONE_NEW* flags */
	unsigned int flags; /* LAUNCH_ */
	int stdio
		[3]; /* descriptors of the caller for 0, 1 and 2 of the service; -1: the caller's own */
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
};

/*
 * Clone the jail's first process, walk the plan there, start the service. Returns 0 when the
 * service's program runs; else -errno with result->step and result->error set, and nothing is
 * left of the jail.
 */
int launch(const unsigned char *plan, size_t size, const struct launch_request *request,
	   struct launch_result *result);

/* Leave this process's network namespace for a new one. Returns 0 or -errno. */
int make_network(void);

/* The version of Landlock in this kernel; 4 and later know ports. -errno where there is none. */
int landlock_abi(void);

/* The class of a process's I/O priority, 0 for none, and its level; or -errno. */
int read_ioprio(int pid, int *level);

/* Sockets that processes of a control group make from now on are bound to a device. Returns 0 or -errno. */
int bind_group(int group_fd, unsigned int device);

/* The permitted set of the calling process, bit n for capability n. */
uint64_t permitted_capabilities(void);

/* mount(2), umount2(2) and reboot(2) of the host, for process 1. Each returns 0 or -errno. */
int mount_host(const char *source, const char *target, const char *type, unsigned long flags,
	       const char *options);
int unmount_host(const char *target, int flags);
int end_machine(unsigned int how);

/* Our name of the architecture with an AUDIT_ARCH_ value, or NULL. */
const char *audit_arch_name(uint32_t audit);

/* Our name of the architecture that this was built for. */
const char *native_arch(void);

/* The architecture whose ABI this machine runs beside its own, or NULL. */
const char *second_arch(void);

/* The number of a system call, or -1. */
int call_number(const char *arch, const char *name);

/* The AUDIT_ARCH_ value of one of our architectures, or 0. */
uint32_t arch_audit(const char *arch);

/* The name of a system call number of one of our architectures, or NULL. */
const char *call_name(const char *arch, uint32_t number);

/* All names of system calls that any architecture has, sorted; NULL after the last. */
const char *call_at(unsigned int index);

/* The SCMP_ARCH_ name of one of our architectures, or NULL. */
const char *arch_scmp(const char *arch);

/* The ARCH_ bits of one of our architectures, or -1. */
#define ARCH_BIG 1 /* big-endian */
#define ARCH_WIDE 2 /* 64-bit arguments of system calls */
int arch_kind(const char *arch);

/*
 * Read the seccomp filters of a running process, the one put on first first, into `code`, struct
 * sock_filter[size / 8]. Stops the process for a moment. Returns the number of instructions of
 * filter `index`, -ENOENT after the last, -EINVAL if the process has none, or another -errno.
 */
int read_filter(int pid, unsigned int index, unsigned char *code, size_t size);

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

/* Our own copy of a process's listener, or -errno: -EAGAIN as long as it has none. */
int notify_take(int pid);

/* The next call, once poll(2) says that there is one. Returns 0 or -errno, -ENOENT if it is gone. */
int notify_receive(int fd, struct notify_call *call);

/* Send a signal to the process `pid` that has asked; -ENOENT if the call waits no more, else 0 or -errno. */
int notify_kill(int fd, uint64_t id, int pid, int signal);

/* Let it fail with an errno, or return 0 for the errno 0; -1: let it pass. Returns 0 or -errno. */
int notify_answer(int fd, uint64_t id, int error);

/*
 * The tracer. A filter that stops every call of a program and of all that it starts, a loop that
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
 * CONT, VTALRM, PROF and TRACE_SIGNAL_END go to the first process, later to all. Returns 0 with the first process's wait status, or -errno; then `status` is 1 if
 * the filter could not be put on, 2 if the exec failed, 0 if the tracer itself did.
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
