/* SPDX-License-Identifier: MIT */
/* A plan as Python packs it and as decode.c reads it: its steps and their numbers. Part of cffi's cdef. */
#ifndef STOCKADE_PLAN_H
#define STOCKADE_PLAN_H

#include <linux/seccomp.h>
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
#define STEP_MOUNT 7 /* s0 path, s1 "fstype\0options", a0 MS_ flags, a1: 1: it may have links */
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
#define STEP_OPEN 33 /* open all sources and the stub, while the paths lead to them */
#define STEP_STDIO 34 /* launch_request.stdio become 0, 1 and 2 */
#define STEP_NICE 35 /* a0 nice value, two's complement */
#define STEP_RLIMIT 36 /* a0 RLIMIT_, a1 soft, a2 hard, a3: 1 to leave the hard limit as it is */
#define STEP_CGROUP 37 /* s0 a group's cgroup.procs: join it, for all that come after */
#define STEP_SETNS 38 /* s0 pid, a0 when it began, s1 "ns/net\0ns/ipc\0...", a1 how many */
#define STEP_LOWER 39 /* s0 directory, a1 st_dev, a2 st_ino: a layer below what was made so far */
#define STEP_UPPER 40 /* the same: "upper" and "work" in it take what is written */
#define STEP_UPPER_MEMORY 41 /* s0 options: the same in a tmpfs */
#define STEP_OVERLAY 42 /* the layers become the new root; read-only without an upper one */
#define STEP_LOOPBACK 43 /* lo of this network namespace is up */
#define STEP_NETWORK 44 /* enter the network namespace launch_request.net_fd */
#define STEP_PORTS 45 /* s0 {uint64_t PORT_ bits, port}[n]: other TCP ports are closed */
#define STEP_USER 46 /* s0 uid_map, s1 gid_map, a0: 1 to deny setgroups; then all is inside */
#define STEP_WRITE_PROC 47 /* s0 file below the host's /proc, s1 what is written */
#define STEP_OWN 48 /* s0 directory, a0 uid, a1 gid, a2 st_dev, a3 st_ino: it belongs to them */
#define STEP_CGROUP_NAMESPACE 49 /* the group that this process is in is the root from now on */
#define STEP_KEYRING 50 /* a session keyring of its own, if the kernel has any */
#define STEP_IOPRIO 51 /* a0 IO_ class, a1 level */
#define STEP_FILE_RULES 52 /* s0 "path\0path\0...", a0 how many: what can be written, by Landlock */
#define STEP_FILE_RULES_HOLD 53 /* they are in force from now on */
#define STEP_CONSOLE 54 /* s0 ptmx, a0 uid: open terminal 0; its master goes to console_fd */
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

#endif
