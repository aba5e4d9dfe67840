/* SPDX-License-Identifier: MIT */
/*
 * What a tracee that has stopped is about to do: arguments and memory. The kernel tells the
 * arguments of any architecture since Linux 5.3; before, registers do, for the architectures
 * that routers of that age have.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ptrace.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "trace.h"

#define SHIM_PREFIX "libpreload-seccomp" /* .so or -32.so */
#define PAGE 4096 /* the smallest there is */

long trace_request(int request, pid_t tid, uintptr_t address, uintptr_t value)
{
	return syscall(SYS_ptrace, (long)request, (long)tid, address, value);
}

size_t read_memory(pid_t tid, uint64_t address, char *out, size_t size)
{
	size_t done = 0;

	while (done < size) {
		/* A read that meets a hole gives nothing of the page before it either */
		size_t part = PAGE - (address + done) % PAGE;
		struct iovec local = {.iov_base = out + done};
		struct iovec remote = {.iov_base = (void *)(uintptr_t)(address + done)};
		ssize_t got;

		part = part < size - done ? part : size - done;
		local.iov_len = remote.iov_len = part;
		got = process_vm_readv(tid, &local, 1, &remote, 1, 0);
		if (got <= 0)
			break;
		done += got;
	}
	return done;
}

/* One variable after the other from the memory that the kernel has put them in. */
bool will_load_shim(pid_t tid)
{
	char path[64], text[8192];
	size_t kept = 0;
	bool found = false;
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/environ", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && !found && (got = read(fd, text + kept, sizeof(text) - 1 - kept)) > 0) {
		const char *at = text, *end = text + kept + got;

		text[kept + got] = '\0';
		/* a variable that is longer than the room is looked at in part */
		while (at + strlen(at) < end && !found) {
			found = !strncmp(at, "LD_PRELOAD=", 11) && strstr(at, SHIM_PREFIX);
			at += strlen(at) + 1;
		}
		kept = at < end && at > text ? end - at : 0;
		memmove(text, at, kept);
	}
	if (fd >= 0)
		close(fd);
	return found;
}

#if defined(__x86_64__) || defined(__i386__)
/* struct user_regs_struct of a 64-bit and of a 32-bit task, told apart by their sizes. The
 * second begins with ebx, ecx, edx, esi, edi and ebp, which i386's headers have as macros. */
enum { R10 = 7, R9 = 8, R8 = 9, RDX = 12, RSI = 13, RDI = 14, WIDE = 27, NARROW = 17 };

static int read_registers(pid_t tid, struct call *call)
{
	static const uint8_t wide[] = {RDI, RSI, RDX, R10, R8, R9};
	uint64_t registers[WIDE];
	uint32_t words[NARROW];
	struct iovec all = {.iov_base = registers, .iov_len = sizeof(registers)};
	unsigned int i;

	if (trace_request(PTRACE_GETREGSET, tid, NT_PRSTATUS, (uintptr_t)&all))
		return -errno;
	memcpy(words, registers, sizeof(words));
	for (i = 0; i < 6; i++)
		call->args[i] = all.iov_len == sizeof(words) ? words[i] : registers[wide[i]];
	return 0;
}
#elif defined(__mips__) && _MIPS_SIM == 1
/* PTRACE_GETREGS gives 38 words of 64 bits, the general registers first */
enum { V0 = 2, A0 = 4, SP = 29, ALL = 38 };

static int read_registers(pid_t tid, struct call *call)
{
	uint64_t registers[ALL];
	uint32_t words[7] = {0}; /* of the call and, where syscall(2) was used, one before them */
	unsigned int i, first;

	if (trace_request(PTRACE_GETREGS, tid, 0, (uintptr_t)registers))
		return -errno;
	for (i = 0; i < 4; i++)
		words[i] = registers[A0 + i];
	/* arguments from the fifth on are on the stack, behind room for the first four */
	read_memory(tid, (uint32_t)registers[SP] + 16, (char *)(words + 4), 3 * sizeof(*words));
	first = (uint32_t)registers[V0] == SYS_syscall;
	for (i = 0; i < 6; i++)
		call->args[i] = words[first + i];
	return 0;
}
#else
static int read_registers(pid_t tid, struct call *call)
{
	return -ENOSYS;
}
#endif

int read_call(pid_t tid, unsigned int flags, struct call *call)
{
	struct ptrace_syscall_info info;
	const long size = flags & TRACE_REGISTERS ? -1
						  : trace_request(PTRACE_GET_SYSCALL_INFO, tid,
								  sizeof(info), (uintptr_t)&info);

	if (size <= 0 || info.op != PTRACE_SYSCALL_INFO_SECCOMP)
		return read_registers(tid, call);
	memcpy(call->args, info.seccomp.args, sizeof(call->args));
	return 0;
}
