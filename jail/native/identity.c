/* SPDX-License-Identifier: MIT */
/*
 * The steps that take privileges away, in the service's process and in the stub's, and the
 * two execs. Raw system calls where libc would speak to other threads or keep caches: the
 * memory is the parent's.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "confine.h"
#include "steps.h"

/* i386 and arm kept the calls with 16-bit ids under the old names */
#ifdef SYS_setgroups32
#define SYS_SETGROUPS SYS_setgroups32
#define SYS_SETRESGID SYS_setresgid32
#define SYS_SETRESUID SYS_setresuid32
#else
#define SYS_SETGROUPS SYS_setgroups
#define SYS_SETRESGID SYS_setresgid
#define SYS_SETRESUID SYS_setresuid
#endif

int step_bounding(struct launch_state *state, struct step *step)
{
	unsigned int capability;

	for (capability = step->a[1]; capability <= step->a[2]; capability++) {
		if (step->a[0] >> capability & 1)
			continue;
		if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0))
			return -errno;
	}
	return 0;
}

/* Without it the service would have the keys of whoever started it. */
int step_keyring(struct launch_state *state, struct step *step)
{
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0) >= 0 || errno == ENOSYS)
		return 0;
	return -errno;
}

int step_session(struct launch_state *state, struct step *step)
{
	return setsid() < 0 ? -errno : 0;
}

int step_umask(struct launch_state *state, struct step *step)
{
	umask(step->a[0]);
	return 0;
}

int step_stdio_null(struct launch_state *state, struct step *step)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (dup2(fd, 0) < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
		return -errno;
	return 0;
}

/* A given descriptor may be one of the three itself: those are moved out of the way first. */
int step_stdio(struct launch_state *state, struct step *step)
{
	int fds[3], i;

	for (i = 0; i < 3; i++) {
		fds[i] = state->request->stdio[i];
		if (fds[i] >= 0 && fds[i] < 3 && fds[i] != i)
			fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
		if (fds[i] < 0 && state->request->stdio[i] >= 0)
			return -errno;
	}
	for (i = 0; i < 3; i++) {
		if (fds[i] == i ? fcntl(i, F_SETFD, 0) < 0 : fds[i] >= 0 && dup2(fds[i], i) < 0)
			return -errno;
	}
	return 0;
}

struct entry { /* struct linux_dirent64 */
	uint64_t inode;
	int64_t offset;
	unsigned short size;
	unsigned char type;
	char name[];
};

/* Before Linux 5.11: mark what /proc lists. Nothing opens or closes a descriptor meanwhile. */
static int mark_listed(struct launch_state *state)
{
	char buffer[2048] __attribute__((aligned(8)));
	long size, at = 0;
	int fd = openat(state->proc_fd, "self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	while ((size = syscall(SYS_getdents64, fd, buffer, sizeof(buffer))) > 0) {
		for (at = 0; at < size;) {
			const struct entry *entry = (const void *)(buffer + at);
			const char *digit = entry->name;
			int listed = 0;

			while (*digit >= '0' && *digit <= '9')
				listed = listed * 10 + (*digit++ - '0');
			if (listed > 2 && fcntl(listed, F_SETFD, FD_CLOEXEC))
				return -errno;
			at += entry->size;
		}
	}
	close(fd);
	return size < 0 ? -errno : 0;
}

/* Marked and not closed: the parent reads end-of-file from one of them when the exec has worked. */
int step_close(struct launch_state *state, struct step *step)
{
#ifdef SYS_close_range
	if (state->modern)
		return syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) ? -errno : 0;
#endif
	return mark_listed(state);
}

int step_chdir(struct launch_state *state, struct step *step)
{
	return chdir(step->s[0]) ? -errno : 0;
}

int step_securebits(struct launch_state *state, struct step *step)
{
	return prctl(PR_SET_SECUREBITS, (unsigned long)step->a[0], 0, 0, 0) ? -errno : 0;
}

int step_groups(struct launch_state *state, struct step *step)
{
	return syscall(SYS_SETGROUPS, step->len[0] / sizeof(gid_t), step->s[0]) ? -errno : 0;
}

int step_gid(struct launch_state *state, struct step *step)
{
	const gid_t gid = step->a[0];

	return syscall(SYS_SETRESGID, gid, gid, gid) ? -errno : 0;
}

int step_uid(struct launch_state *state, struct step *step)
{
	const uid_t uid = step->a[0];

	return syscall(SYS_SETRESUID, uid, uid, uid) ? -errno : 0;
}

int step_capabilities(struct launch_state *state, struct step *step)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	int i;

	for (i = 0; i < 2; i++) {
		data[i].effective = step->a[0] >> (32 * i);
		data[i].permitted = step->a[1] >> (32 * i);
		data[i].inheritable = step->a[2] >> (32 * i);
	}
	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

int step_ambient(struct launch_state *state, struct step *step)
{
	unsigned int capability;

	for (capability = 0; capability < 64; capability++) {
		if (!(step->a[0] >> capability & 1))
			continue;
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0))
			return -errno;
	}
	return 0;
}

/*
 * A changed uid clears the signal, so this comes after the last of them. A parent that died
 * before it was set sent nothing: PID 1 sees that in the pipe which only the parent holds
 * open, the service by its parent's pid.
 */
int step_die_with_parent(struct launch_state *state, struct step *step)
{
	const bool is_service = (unsigned int)state->current > state->stub_exec;
	struct pollfd life = {.fd = state->life_fd};

	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))
		return -errno;
	/* A parent outside of the PID namespace is 0; PID 1 of it takes over when that has ended */
	if (state->entered && is_service)
		return syscall(SYS_getppid) ? -ECHILD : 0;
	/* Without a stub the service is the first process itself */
	if (state->stub_exec && is_service)
		return syscall(SYS_getppid) == state->first_pid ? 0 : -ECHILD;
	if (poll(&life, 1, 0) < 0)
		return -errno;
	return life.revents ? -ECHILD : 0;
}

int step_no_new_privs(struct launch_state *state, struct step *step)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : 0;
}

int step_filter(struct launch_state *state, struct step *step)
{
	struct sock_fprog program = {
		.len = step->len[0] / sizeof(struct sock_filter),
		.filter = (struct sock_filter *)step->code,
	};

	if (step_asks(step))
		return ask_from_here(state, &program, step->a[0]);
	if (!syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, (unsigned int)step->a[0], &program))
		return 0;
	/* Flags add a log line or speed, no restriction: a kernel that has not heard of them holds as well */
	if (errno != EINVAL || !step->a[0])
		return -errno;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) ? -errno : 0;
}

int step_signals(struct launch_state *state, struct step *step)
{
	struct sigaction action = {.sa_handler = SIG_DFL};
	/* the kernel's struct sigaction of any architecture: all zero is the default */
	const unsigned long zero[16] = {0};
	sigset_t none;
	int signal;

	/* The C library keeps some for itself: Python cannot see them, and sigaction() refuses them */
	for (signal = 32; signal < 35; signal++) {
		if (syscall(SYS_rt_sigaction, signal, zero, NULL, _NSIG / 8))
			return -errno;
	}
	for (signal = 1; signal <= 128; signal++) {
		if (!(state->request->reset[(signal - 1) / 64] >> ((signal - 1) % 64) & 1))
			continue;
		if (sigaction(signal, &action, NULL))
			return -errno;
	}
	sigemptyset(&none);
	return sigprocmask(SIG_SETMASK, &none, NULL) ? -errno : 0;
}

int step_exec(struct launch_state *state, struct step *step)
{
	state->service = PROGRESS_EXEC;
	syscall(SYS_execve, step->s[0], step->argv, step->envp);
	return -errno;
}

/* Descriptors are told to the stub by their numbers; the program's own may be in the way. */
int step_exec_stub(struct launch_state *state, struct step *step)
{
	if (step->fd == STUB_HELD_FD)
		step->fd = fcntl(step->fd, F_DUPFD_CLOEXEC, STUB_HELD_FD + 1);
	if (step->fd < 0 ||
	    (state->held_write_fd == STUB_HELD_FD ? fcntl(STUB_HELD_FD, F_SETFD, 0) < 0
						  : dup2(state->held_write_fd, STUB_HELD_FD) < 0))
		return -errno;
	state->stub = PROGRESS_EXEC;
	syscall(SYS_execveat, step->fd, "", step->argv, step->envp, AT_EMPTY_PATH);
	return -errno;
}
