/* SPDX-License-Identifier: MIT */
/*
 * The filter of a trace: every call stops for the tracer, which gets ABI and number with the
 * stop and so needs no register of any architecture. It also answers the shim's question
 * whether anybody traces.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>

#include "arch.h"
#include "mark.h"
#include "names.h"
#include "trace.h"

#define LOAD(what) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, what)
#define JUMP(test, value, yes, no) BPF_JUMP(BPF_JMP | (test) | BPF_K, value, yes, no)
#define STOP(message) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE | (message))
#define AND(value) BPF_STMT(BPF_ALU | BPF_AND | BPF_K, value)
#define OR(value) BPF_STMT(BPF_ALU | BPF_OR | BPF_K, value)
#define STOP_A BPF_STMT(BPF_RET | BPF_A, 0)

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define LOW_WORD 4
#else
#define LOW_WORD 0
#endif

#define ARCH offsetof(struct seccomp_data, arch)
#define NUMBER offsetof(struct seccomp_data, nr)
#define OPTION (offsetof(struct seccomp_data, args) + LOW_WORD)
#define ABI(abi) (SECCOMP_RET_TRACE | (abi) << MESSAGE_ABI_SHIFT)

int trace_filter(unsigned char *code, size_t size)
{
	const char *second = second_arch();
	const uint32_t native = arch_audit(native_arch());
	const struct sock_filter filter[] = {
		LOAD(ARCH),
		JUMP(BPF_JEQ, native, 11, 0),
		/* no other ABI here: the native one, which does not come this far */
		JUMP(BPF_JEQ, second ? arch_audit(second) : native, 0, 9),
		LOAD(NUMBER),
		JUMP(BPF_JEQ, second ? call_number(second, "prctl") : 0, 0, 4),
		LOAD(OPTION),
		JUMP(BPF_JEQ, MARK_QUESTION, 18, 0),
		JUMP(BPF_JEQ, MARK_MAIN, 18, 0),
		LOAD(NUMBER),
		JUMP(BPF_JGE, 1 << MESSAGE_ABI_SHIFT, 2, 0),
		OR(ABI(TRACE_SECOND)),
		STOP_A,
		STOP(MESSAGE_FOREIGN),
		/* native */
		LOAD(NUMBER),
		JUMP(BPF_JEQ, SYS_prctl, 0, 4),
		LOAD(OPTION),
		JUMP(BPF_JEQ, MARK_QUESTION, 8, 0),
		JUMP(BPF_JEQ, MARK_MAIN, 8, 0),
		LOAD(NUMBER),
		JUMP(BPF_JGE, 1 << MESSAGE_ABI_SHIFT, 2, 0),
		OR(ABI(TRACE_NATIVE)),
		STOP_A,
		/* numbers that have no place in the message */
		AND(MESSAGE_NUMBER),
		OR(ABI(TRACE_HIGH)),
		STOP_A,
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | MARK_ANSWER),
		STOP(MESSAGE_MARK),
	};

	if (size < sizeof(filter))
		return -E2BIG;
	memcpy(code, filter, sizeof(filter));
	return sizeof(filter) / sizeof(filter[0]);
}
