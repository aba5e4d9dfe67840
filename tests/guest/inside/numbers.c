/* SPDX-License-Identifier: MIT */
/*
 * numbers FILTER: install the seccomp filter in that file, make each of these system calls by the number that this
 * C library's headers give it, and print "NAME ERRNO". The filter should deny them all: their arguments are nothing.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* musl's names of those with 32-bit seconds */
#if !defined(SYS_clock_gettime) && defined(SYS_clock_gettime32)
#define SYS_clock_gettime SYS_clock_gettime32
#endif
#if !defined(SYS_gettimeofday) && defined(SYS_gettimeofday_time32)
#define SYS_gettimeofday SYS_gettimeofday_time32
#endif
#if !defined(SYS_timerfd_settime) && defined(SYS_timerfd_settime32)
#define SYS_timerfd_settime SYS_timerfd_settime32
#endif

#define CALL(name)                                                                                 \
	{                                                                                          \
#name, SYS_##name                                                                  \
	}

static const struct {
	const char *name;
	long number;
} calls[] = {
	CALL(openat),
	CALL(ioctl),
	CALL(socket),
	CALL(ptrace),
	CALL(mount),
	CALL(seccomp),
	CALL(openat2),
	CALL(clock_gettime),
	CALL(gettimeofday),
	CALL(futex),
	CALL(ppoll),
	CALL(recvmmsg),
	CALL(timerfd_settime),
	CALL(utimensat),
#ifdef SYS_mmap2
	CALL(mmap2),
	CALL(ipc),
	CALL(socketcall),
	CALL(fcntl64),
	CALL(stat64),
	CALL(_llseek),
	CALL(clock_gettime64),
	CALL(clock_settime64),
	CALL(clock_nanosleep_time64),
	CALL(futex_time64),
	CALL(ppoll_time64),
	CALL(pselect6_time64),
	CALL(recvmmsg_time64),
	CALL(mq_timedsend_time64),
	CALL(semtimedop_time64),
	CALL(sched_rr_get_interval_time64),
	CALL(timer_settime64),
	CALL(timerfd_settime64),
	CALL(utimensat_time64),
#else
	CALL(mmap),    CALL(shmget),   CALL(semget),
#endif
#ifdef __mips__
	CALL(cacheflush),
	CALL(sysmips),
	CALL(set_thread_area),
#endif
};

int main(int argc, char **argv)
{
	static struct sock_filter code[4096];
	struct sock_fprog program = {.filter = code};
	FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;

	if (!file)
		return 2;
	program.len = (unsigned short)fread(code, sizeof(code[0]), 4096, file);
	fclose(file);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
		perror("seccomp");
		return 1;
	}
	for (unsigned int i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		errno = 0;
		syscall(calls[i].number, -1L, 0L, 0L, 0L, 0L, 0L);
		printf("%s %d\n", calls[i].name, errno);
	}
	return 0;
}
