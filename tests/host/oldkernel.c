/* SPDX-License-Identifier: MIT */
/*
 * Runs a program as on a kernel of early 2017: the calls that came later do not exist, and seccomp(2) has
 * heard of no flag but TSYNC.
 *
 *   oldkernel PROGRAM ARGUMENT...
 *
 * Each of them is tried before, so that all of this is so, or it ends with 99.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define JUMP(test, k, jt, jf) BPF_JUMP(BPF_JMP | (test) | BPF_K, k, jt, jf)
#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset)
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, value)
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define LOW_WORD 4
#else
#define LOW_WORD 0
#endif
#define FLAGS (offsetof(struct seccomp_data, args[1]) + LOW_WORD)

/* From 424 on all ABIs count alike; those of mips begin at 4000 */
#ifdef __mips__
#define BASE 4000
#else
#define BASE 0
#endif
#define CALLS 8

static const unsigned int later[CALLS] = {
	BASE + 428, /* open_tree */
	BASE + 429, /* move_mount */
	BASE + 430, /* fsopen */
	BASE + 435, /* clone3 */
	BASE + 436, /* close_range */
	BASE + 437, /* openat2 */
	BASE + 439, /* faccessat2 */
	BASE + 442, /* mount_setattr */
};

static int install(void)
{
	struct sock_filter code[CALLS + 7] = {
		LOAD(offsetof(struct seccomp_data, nr)),
		[CALLS + 1] = JUMP(BPF_JEQ, SYS_seccomp, 0, 4),
		[CALLS + 2] = LOAD(FLAGS),
		[CALLS + 3] = JUMP(BPF_JSET, ~(unsigned int)SECCOMP_FILTER_FLAG_TSYNC, 0, 2),
		[CALLS + 4] = RETURN(SECCOMP_RET_ERRNO | EINVAL),
		[CALLS + 5] = RETURN(SECCOMP_RET_ERRNO | ENOSYS),
		[CALLS + 6] = RETURN(SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {.len = CALLS + 7, .filter = code};
	unsigned int i;

	for (i = 0; i < CALLS; i++)
		code[1 + i] = (struct sock_filter)JUMP(BPF_JEQ, later[i], CALLS + 3 - i, 0);
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int main(int argc, char **argv)
{
	unsigned int i;

	if (argc < 2 || install())
		return 99;
	for (i = 0; i < CALLS; i++)
		if (syscall(later[i], -1L, -1L, -1L, -1L, -1L, -1L) != -1 || errno != ENOSYS)
			return 99;
	/* without the filter: EFAULT, of the NULL */
	if (!syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_LOG, NULL) ||
	    errno != EINVAL)
		return 99;
	execvp(argv[1], argv + 1);
	perror(argv[1]);
	return 98;
}
