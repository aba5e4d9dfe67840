/* SPDX-License-Identifier: MIT */
/*
 * The system calls that PID 1 of a jail may make once it waits: by then it runs with the service's ids,
 * and what could take it over would have CAP_KILL.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "confine.h"

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__i386__)
#define ARCH AUDIT_ARCH_I386
#elif defined(__mips__) && defined(__MIPSEB__)
#define ARCH AUDIT_ARCH_MIPS
#elif defined(__mips__)
#define ARCH AUDIT_ARCH_MIPSEL
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#elif defined(__arm__)
#define ARCH AUDIT_ARCH_ARM
#elif defined(__riscv)
#define ARCH AUDIT_ARCH_RISCV64
#else
#error "name this architecture's AUDIT_ARCH"
#endif

/* One equality test that jumps to the last instruction, which allows */
#define CALLS_MAX 16

int confine(void)
{
	static const int calls[] = {
		SYS_rt_sigtimedwait,
		SYS_wait4,
		SYS_kill,
		SYS_exit_group,
		SYS_restart_syscall,
#ifdef SYS_clock_gettime
		SYS_clock_gettime,
#else /* musl's name of the call with 32-bit seconds */
		SYS_clock_gettime32,
#endif
#ifdef SYS_rt_sigtimedwait_time64
		SYS_rt_sigtimedwait_time64,
#endif
#ifdef SYS_clock_gettime64
		SYS_clock_gettime64,
#endif
#ifdef SYS_waitpid
		SYS_waitpid,
#endif
	};
	const unsigned int n = sizeof(calls) / sizeof(calls[0]);
	struct sock_filter code[CALLS_MAX + 5];
	struct sock_fprog program = {.len = n + 5, .filter = code};
	unsigned int i;

	_Static_assert(sizeof(calls) / sizeof(calls[0]) <= CALLS_MAX, "CALLS_MAX");
	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0 && errno == EINVAL)
		return 0;
	code[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
					       offsetof(struct seccomp_data, arch));
	code[1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 0, n + 1);
	code[2] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
					       offsetof(struct seccomp_data, nr));
	for (i = 0; i < n; i++)
		code[3 + i] =
			(struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i], n - i, 0);
	code[3 + n] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	code[4 + n] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}
