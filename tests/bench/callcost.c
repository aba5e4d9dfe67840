/* SPDX-License-Identifier: MIT */
/*
 * What a system call costs under a filter: callcost CALLS [FILTER], where FILTER is a file of
 * struct sock_filter[]. Prints nanoseconds for one getppid, with a decimal.
 */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define FILTER_MAX 4096

static struct sock_filter code[FILTER_MAX];

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e9 + now.tv_nsec;
}

static int confine(const char *path)
{
	struct sock_fprog filter = {.filter = code};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? -1 : read(fd, code, sizeof(code));

	if (size <= 0)
		return -1;
	close(fd);
	filter.len = size / sizeof(code[0]);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}

int main(int argc, char **argv)
{
	const long calls = argc > 1 ? atol(argv[1]) : 0;
	double start_ns;
	long i;

	if (calls <= 0 || (argc > 2 && confine(argv[2])))
		return 125;
	start_ns = now_ns();
	for (i = 0; i < calls; i++)
		syscall(SYS_getppid);
	printf("%.1f\n", (now_ns() - start_ns) / calls);
	return 0;
}
