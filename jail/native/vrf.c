/* SPDX-License-Identifier: MIT */
/* A control group whose processes have their sockets bound to a device, as soon as they are made. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/bpf.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel.h"

/* The program is run for each socket: its context's device becomes `device`, and 1 lets it be. */
static int load_program(unsigned int device)
{
	const struct bpf_insn code[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = (int)device},
		{.code = BPF_STX | BPF_MEM | BPF_W,
		 .dst_reg = BPF_REG_1,
		 .src_reg = BPF_REG_2,
		 .off = offsetof(struct bpf_sock, bound_dev_if)},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1},
		{.code = BPF_JMP | BPF_EXIT},
	};
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_CGROUP_SOCK;
	attr.insn_cnt = sizeof(code) / sizeof(code[0]);
	attr.insns = (uintptr_t)code;
	attr.license = (uintptr_t) "MIT";
	return syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
}

int bind_group(int group_fd, unsigned int device)
{
	const int program_fd = load_program(device);
	union bpf_attr attr;
	int result;

	if (program_fd < 0)
		return -errno;
	memset(&attr, 0, sizeof(attr));
	attr.target_fd = group_fd;
	attr.attach_bpf_fd = program_fd;
	attr.attach_type = BPF_CGROUP_INET_SOCK_CREATE;
	/* without a flag it takes the place of an earlier one */
	result = syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof(attr)) ? -errno : 0;
	close(program_fd); /* the group keeps it */
	return result;
}
