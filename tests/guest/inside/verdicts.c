/* SPDX-License-Identifier: MIT */
/*
 * verdicts FILTER: install the seccomp filter in that file in a child of its own for each line on standard
 * input, "NUMBER ARG ARG ARG ARG ARG ARG", make that system call there and print "RESULT ERRNO SIGNAL".
 *
 * The child says what it saw through shared memory, since the filter may deny whatever else it could say it with.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct seen {
	int installed; /* 1, or the negative errno */
	int returned; /* from the call */
	long result;
	int error;
};

static void try_call(const struct sock_fprog *program, const unsigned long *call, struct seen *seen)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program)) {
		seen->installed = -errno;
		return;
	}
	seen->installed = 1;
	errno = 0;
	seen->result = syscall((long)call[0], call[1], call[2], call[3], call[4], call[5], call[6]);
	seen->error = errno;
	seen->returned = 1;
}

int main(int argc, char **argv)
{
	static struct sock_filter code[4096];
	struct sock_fprog program = {.filter = code};
	struct seen *seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
	unsigned long long given[7];

	if (!file || seen == MAP_FAILED)
		return 2;
	program.len = (unsigned short)fread(code, sizeof(code[0]), 4096, file);
	fclose(file);
	while (scanf("%llu %llu %llu %llu %llu %llu %llu", &given[0], &given[1], &given[2],
		     &given[3], &given[4], &given[5], &given[6]) == 7) {
		unsigned long call[7];
		int status;
		pid_t child;

		for (int i = 0; i < 7; i++)
			call[i] = (unsigned long)given[i];
		*seen = (struct seen){0};
		child = fork();
		if (child < 0)
			return 2;
		if (!child) {
			try_call(&program, call, seen);
			/* _exit may be denied; a fault ends the process in any case */
			__builtin_trap();
		}
		if (waitpid(child, &status, 0) != child)
			return 2;
		if (seen->installed != 1) {
			fprintf(stderr, "the filter was not installed: errno %d\n",
				-seen->installed);
			return 1;
		}
		printf("%ld %d %d\n", seen->result, seen->error,
		       seen->returned ? 0 : WTERMSIG(status));
	}
	return 0;
}
