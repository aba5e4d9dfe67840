/* SPDX-License-Identifier: MIT */
/*
 * The policy compiler's whole interface: JSON text in, classic BPF out, for a
 * named target architecture. The shim calls it inside the service, Python
 * through cffi. It makes no system call but the caller-given memory's use, keeps
 * no state and no pointer after it returns.
 */
#ifndef STOCKADE_POLICY_H
#define STOCKADE_POLICY_H

#include <stddef.h>
#include <stdint.h>

#define POLICY_MAX_BYTES (1024 * 1024) /* of one policy file */
#define POLICY_MAX_INSNS 4096 /* BPF_MAXINSNS */

/* policy_request.flags */
#define POLICY_LENIENT 1 /* the shim: skip a name that no architecture has, if the rule allows */
#define POLICY_DOOR1 2 /* at exec: start-up rules and the pinned execve come first */
#define POLICY_COMPLAIN 4 /* what would be denied is logged, and allowed */
#define POLICY_NOTIFY 8 /* a supervisor decides on what would be denied; see below */
#define POLICY_LISTENER 16 /* with both: there is no door 2, and door 1 has the listener */

struct policy_request {
	const char *arch; /* "x86_64", "i386", "mips", "mipsel", "arm", "aarch64", "riscv64" */
	const char *policy; /* JSON, need not end in NUL */
	size_t policy_size;
	const char *startup; /* door 1: a policy whose rules are put first; or NULL */
	size_t startup_size;
	uint64_t exec_pin[3]; /* door 1: execve is allowed with exactly these three arguments */
	uint64_t capabilities; /* bit mask for includes.caps and excludes.caps */
	unsigned int kernel; /* major << 16 | minor, for minKernel */
	unsigned int flags;
};

struct policy_result {
	unsigned int n_insns;
	unsigned int filter_flags; /* SECCOMP_FILTER_FLAG_* that the policy asks for */
	unsigned int line, column; /* of the error, from 1; 0 when it has no place */
	int in_startup; /* the error is in the start-up text */
	char message[256]; /* lower case, no full stop; "" when all is well */
};

/*
 * With POLICY_NOTIFY the answer for what kills the process or fails with an errno is USER_NOTIF:
 * a supervisor that listens gives the real one, and without one the call fails with ENOSYS. At
 * door 2 so does prctl(MARK_LISTENER), by which the shim waits for the supervisor. With
 * POLICY_COMPLAIN too all that is denied is asked about at door 2, and logged at door 1. With
 * POLICY_LISTENER door 1 is as door 2 in all this, and the launcher waits in that prctl.
 *
 * Compile a policy. With POLICY_DOOR1 the order of precedence is: the policy's own `startup`
 * names; the rules of the start-up text, of which only those with the comment "shim" count if
 * the policy has `startup`; execve with the pinned arguments, each word compared by a JEQ with
 * exactly that word, so that it can be replaced later; the policy's rules. The start-up text is
 * a policy too, but nothing of it is used but its rules. Without the flag it is not read.
 *
 * `code` receives struct sock_filter[n_insns] in the byte order of the target; `scratch` is
 * zeroed memory for the compiler's own use (policy_scratch_size() bytes, aligned for uint64_t).
 *
 * Returns 0, or -EINVAL (bad policy), -E2BIG (text or program too long),
 * -ENOMEM (scratch too small), -ENOSYS (unknown architecture); then
 * result->message says why and nothing of `code` may be used.
 */
int policy_compile(const struct policy_request *request, unsigned char *code, size_t code_size,
		   void *scratch, size_t scratch_size, struct policy_result *result);

struct policy_warning {
	unsigned int line, column;
	char message[256];
};

/*
 * Find rules that can never match. Returns the number of warnings written, at most `max`, or
 * an error as policy_compile() does. POLICY_DOOR1 makes no difference.
 */
int policy_lint(const struct policy_request *request, void *scratch, size_t scratch_size,
		struct policy_warning *warnings, unsigned int max, struct policy_result *result);

/* Scratch bytes that are enough for texts of these sizes. */
size_t policy_scratch_size(size_t policy_size, size_t startup_size);

#endif
