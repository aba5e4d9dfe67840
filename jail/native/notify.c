/* SPDX-License-Identifier: MIT */
/*
 * The supervisor's side of a filter that asks it: take the listener out of the process that put
 * the filter on, hear what is asked, answer. The kernel's structures may be longer than those
 * that we know, and it says how long they are.
 */
#include "notify.h"

#include <dirent.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The same on all architectures that we know, but older headers lack them */
#ifndef SYS_pidfd_open
#ifdef __mips__
#define SYS_pidfd_open (4000 + 434)
#else
#define SYS_pidfd_open 434
#endif
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd (SYS_pidfd_open + 4)
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal (SYS_pidfd_open - 10)
#endif
#ifndef SECCOMP_USER_NOTIF_FLAG_CONTINUE
#define SECCOMP_USER_NOTIF_FLAG_CONTINUE 1
#endif

#define LISTENER "anon_inode:seccomp notify"
#define ROOM 256 /* for the kernel's structures, of which ours are the first 80 and 24 bytes */

static bool has_room(void)
{
	struct seccomp_notif_sizes sizes;

	return !syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) &&
	       sizes.seccomp_notif <= ROOM && sizes.seccomp_notif_resp <= ROOM &&
	       sizes.seccomp_data == sizeof(struct seccomp_data);
}

int notify_works(void)
{
	/* since Linux 5.6, and what else is needed is older */
	return has_room() && syscall(SYS_pidfd_getfd, -1, -1, 0) < 0 && errno == EBADF;
}

int notify_may_take(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[2];

	return geteuid() || (!syscall(SYS_capget, &header, sets) &&
			     sets[0].effective & CAP_TO_MASK(CAP_SYS_PTRACE));
}

/* The listener's number in the process, -EAGAIN, or -EACCES if it is not shown to us. */
static int find_listener(int pid)
{
	char path[64], target[sizeof(LISTENER) + 1];
	struct dirent *entry;
	int found = -EAGAIN;
	DIR *fds;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	fds = opendir(path);
	if (!fds)
		return -errno;
	while (found == -EAGAIN && (entry = readdir(fds))) {
		const ssize_t length =
			readlinkat(dirfd(fds), entry->d_name, target, sizeof(target));

		if (length == sizeof(LISTENER) - 1 && !memcmp(target, LISTENER, length))
			found = atoi(entry->d_name);
		else if (length < 0 && errno == EACCES)
			found = -EACCES;
	}
	closedir(fds);
	return found;
}

/* Both close at exec. */
int notify_hold(int pid)
{
	const int fd = syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : fd;
}

int notify_copy(int pidfd, int number)
{
	const int fd = syscall(SYS_pidfd_getfd, pidfd, number, 0);

	return fd < 0 ? -errno : fd;
}

/* The process is held first: /proc may speak of a later one by then, of which nothing is taken. */
int notify_take(int pid)
{
	const int pidfd = notify_hold(pid);
	int fd;

	if (pidfd < 0)
		return pidfd;
	fd = find_listener(pid);
	if (fd >= 0)
		fd = notify_copy(pidfd, fd);
	close(pidfd);
	return fd;
}

int notify_receive(int fd, struct notify_call *call)
{
	union {
		struct seccomp_notif notif;
		unsigned char room[ROOM];
	} asked;

	memset(&asked, 0, sizeof(asked));
	if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &asked))
		return -errno;
	call->id = asked.notif.id;
	call->pid = asked.notif.pid;
	call->number = asked.notif.data.nr;
	call->arch = asked.notif.data.arch;
	memcpy(call->args, asked.notif.data.args, sizeof(call->args));
	return 0;
}

/* Whether the call still waits, and its pid is still that process's. */
static int is_asked(int fd, uint64_t id)
{
	return !ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &id);
}

int notify_kill(int fd, uint64_t id, int pid, int signal)
{
	const int pidfd = notify_hold(pid);
	int result = 0;

	if (pidfd < 0)
		return pidfd;
	/* what is held is the process that asked, if its call waits even now */
	if (!is_asked(fd, id))
		result = -ENOENT;
	else if (syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0))
		result = -errno;
	close(pidfd);
	return result;
}

int notify_answer(int fd, uint64_t id, int error)
{
	union {
		struct seccomp_notif_resp resp;
		unsigned char room[ROOM];
	} answer;

	memset(&answer, 0, sizeof(answer));
	answer.resp.id = id;
	if (error < 0)
		answer.resp.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	else
		answer.resp.error = -error;
	return ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &answer) ? -errno : 0;
}
