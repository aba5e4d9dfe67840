/* SPDX-License-Identifier: MIT */
/* Single calls of the kernel that Python has no words for. Part of cffi's cdef. */
#ifndef STOCKADE_KERNEL_H
#define STOCKADE_KERNEL_H

#include <stddef.h>
#include <stdint.h>

/* In the flags of /proc/PID/stat, as ps shows them too; the kernel has it in no header for us (PF_FORKNOEXEC) */
#define TASK_NOT_EXECUTED 0x40

/* Leave this process's network namespace for a new one. Returns 0 or -errno. */
int make_network(void);

/* 1: an absolute path of something that is there, with no link on the way, and no "." or "..". Else 0. */
int is_straight(const char *path);

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

/*
 * Read the seccomp filters of a running process, the one put on first first, into `code`, struct
 * sock_filter[size / 8]. Stops the process for a moment. Returns the number of instructions of
 * filter `index`, -ENOENT after the last, -EINVAL if the process has none, or another -errno.
 */
int read_filter(int pid, unsigned int index, unsigned char *code, size_t size);

#endif
