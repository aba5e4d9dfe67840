/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target for the policy compiler. The input's first byte chooses the architecture,
 * the second the flags; the rest is the policy and, after a NUL, the start-up text. What comes
 * out must be a program that the kernel would take, or an error with words; the promised
 * scratch size must be enough.
 */
#include "policy.h"

#include <errno.h>
#include <linux/filter.h>
#include <stdlib.h>
#include <string.h>

#define N_ARCHES 7

static const char arches[N_ARCHES][8] = {"x86_64", "i386",    "mips",   "mipsel",
					 "arm",    "aarch64", "riscv64"};

static void require(int condition)
{
	if (!condition)
		abort();
}

static uint32_t get(const unsigned char *at, unsigned int bytes, int big_endian)
{
	uint32_t value = 0;

	for (unsigned int i = 0; i < bytes; i++)
		value |= (uint32_t)at[big_endian ? bytes - 1 - i : i] << (8 * i);
	return value;
}

/* What the kernel's bpf_check_classic() and seccomp_check_filter() ask for. */
static void check_program(const unsigned char *code, unsigned int n, int big)
{
	require(n >= 1 && n <= POLICY_MAX_INSNS);
	for (unsigned int i = 0; i < n; i++) {
		const unsigned char *insn = code + 8 * i;
		uint32_t op = get(insn, 2, big), k = get(insn + 4, 4, big), left = n - i - 1;

		switch (op) {
		case BPF_JMP | BPF_JA:
			require(k < left);
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
		case BPF_JMP | BPF_JGE | BPF_K:
		case BPF_JMP | BPF_JGT | BPF_K:
			require(insn[2] < left && insn[3] < left);
			break;
		case BPF_LD | BPF_W | BPF_ABS:
			require(k % 4 == 0 && k < 64 && left);
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			require(left);
			break;
		default:
			require(op == (BPF_RET | BPF_K));
		}
	}
	require(get(code + 8 * (n - 1), 2, big) == (BPF_RET | BPF_K));
}

static void check_result(int ret, const struct policy_result *result, const unsigned char *code,
			 int big)
{
	require(memchr(result->message, '\0', sizeof(result->message)) != NULL);
	if (!ret) {
		require(!result->message[0]);
		check_program(code, result->n_insns, big);
		return;
	}
	require(ret == -EINVAL || ret == -E2BIG); /* not -ENOMEM: the scratch is as promised */
	require(result->message[0] && !result->n_insns && (ret != -EINVAL || result->line));
}

int LLVMFuzzerTestOneInput(const unsigned char *input, size_t size)
{
	struct policy_request request = {
		.kernel = 6 << 16, .capabilities = 1, .exec_pin = {1, 2, 3}};
	struct policy_warning warnings[4];
	struct policy_result result;
	unsigned char *code;
	const char *text, *end;
	size_t scratch_size;
	void *scratch;
	int arch, ret;

	if (size < 2)
		return -1;
	arch = input[0] % N_ARCHES;
	text = (const char *)input + 2;
	end = memchr(text, '\0', size - 2);
	request.arch = arches[arch];
	request.flags = input[1] & (POLICY_LENIENT | POLICY_DOOR1);
	request.policy = text;
	request.policy_size = end ? (size_t)(end - text) : size - 2;
	if (end) {
		request.startup = end + 1;
		request.startup_size = size - 2 - request.policy_size - 1;
	}
	scratch_size = policy_scratch_size(request.policy_size, request.startup_size);
	scratch = calloc(1, scratch_size); /* exact: the sanitizer sees one byte too far */
	code = malloc(POLICY_MAX_INSNS * 8);
	require(scratch && code);
	ret = policy_compile(&request, code, POLICY_MAX_INSNS * 8, scratch, scratch_size, &result);
	check_result(ret, &result, code, arch == 2);
	memset(scratch, 0, scratch_size);
	policy_lint(&request, scratch, scratch_size, warnings, 4, &result);
	free(code);
	free(scratch);
	return 0;
}
