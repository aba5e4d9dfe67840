/* SPDX-License-Identifier: MIT */
/*
 * The tables behind arch.h. Names are one block of text with offsets instead of pointers, so
 * that the shared object needs no relocation for them; numbers are 16 bits wide.
 */
#include "arch.h"

#include <linux/audit.h>
#include <stddef.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* arm's private calls start at 0xf0000, all others fit in 15 bits */
#define PRIVATE 0x8000
#define PRIVATE_BASE 0xf0000
#define NONE 0xffff
#define PACK(n) ((n) < 0 ? NONE : (n) >= PRIVATE_BASE ? PRIVATE | ((n)&0xff) : (n)&0x7fff)

struct call_names {
#define CALL(name, ...) char c_##name[sizeof(#name)];
#include "syscalls/table.h"
#undef CALL
};

static const struct call_names call_names = {
#define CALL(name, ...) #name,
#include "syscalls/table.h"
#undef CALL
};

static const uint16_t offsets[] = {
#define CALL(name, ...) offsetof(struct call_names, c_##name),
#include "syscalls/table.h"
#undef CALL
};

#if !defined(POLICY_NATIVE_ONLY) || defined(__x86_64__)
#define HAVE_X86_64
static const uint16_t numbers_x86_64[] = {
#define CALL(name, x86_64, ...) PACK(x86_64),
#include "syscalls/table.h"
#undef CALL
};
#endif

#if !defined(POLICY_NATIVE_ONLY) || defined(__i386__)
#define HAVE_I386
static const uint16_t numbers_i386[] = {
#define CALL(name, x86_64, i386, ...) PACK(i386),
#include "syscalls/table.h"
#undef CALL
};
#endif

#if !defined(POLICY_NATIVE_ONLY) || defined(__mips__)
#define HAVE_MIPS
static const uint16_t numbers_mips[] = {
#define CALL(name, x86_64, i386, mips, ...) PACK(mips),
#include "syscalls/table.h"
#undef CALL
};
#endif

#if !defined(POLICY_NATIVE_ONLY) || defined(__arm__)
#define HAVE_ARM
static const uint16_t numbers_arm[] = {
#define CALL(name, x86_64, i386, mips, arm, ...) PACK(arm),
#include "syscalls/table.h"
#undef CALL
};
#endif

#if !defined(POLICY_NATIVE_ONLY) || defined(__aarch64__)
#define HAVE_AARCH64
static const uint16_t numbers_aarch64[] = {
#define CALL(name, x86_64, i386, mips, arm, aarch64, ...) PACK(aarch64),
#include "syscalls/table.h"
#undef CALL
};
#endif

#if !defined(POLICY_NATIVE_ONLY) || defined(__riscv)
#define HAVE_RISCV64
static const uint16_t numbers_riscv64[] = {
#define CALL(name, x86_64, i386, mips, arm, aarch64, riscv64) PACK(riscv64),
#include "syscalls/table.h"
#undef CALL
};
#endif

static const struct arch arches[] = {
#ifdef HAVE_X86_64
	{
		.name = "x86_64",
		.scmp = "SCMP_ARCH_X86_64",
		.docker = {"amd64", "x86_64"},
		.audit = AUDIT_ARCH_X86_64,
		.wide = true,
		.first_foreign = 0x40000000, /* __X32_SYSCALL_BIT */
		.numbers = numbers_x86_64,
	},
#endif
#ifdef HAVE_I386
	{
		.name = "i386",
		.scmp = "SCMP_ARCH_X86",
		.docker = {"x86", "386"},
		.audit = AUDIT_ARCH_I386,
		.numbers = numbers_i386,
	},
#endif
#ifdef HAVE_MIPS
	{
		.name = "mips",
		.scmp = "SCMP_ARCH_MIPS",
		.docker = {"mips", "mips"},
		.audit = AUDIT_ARCH_MIPS,
		.big_endian = true,
		.numbers = numbers_mips,
	},
	{
		.name = "mipsel",
		.scmp = "SCMP_ARCH_MIPSEL",
		.docker = {"mipsel", "mipsle"},
		.audit = AUDIT_ARCH_MIPSEL,
		.numbers = numbers_mips,
	},
#endif
#ifdef HAVE_ARM
	{
		.name = "arm",
		.scmp = "SCMP_ARCH_ARM",
		.docker = {"arm", "arm"},
		.audit = AUDIT_ARCH_ARM,
		.numbers = numbers_arm,
	},
#endif
#ifdef HAVE_AARCH64
	{
		.name = "aarch64",
		.scmp = "SCMP_ARCH_AARCH64",
		.docker = {"arm64", "aarch64"},
		.audit = AUDIT_ARCH_AARCH64,
		.wide = true,
		.numbers = numbers_aarch64,
	},
#endif
#ifdef HAVE_RISCV64
	{
		.name = "riscv64",
		.scmp = "SCMP_ARCH_RISCV64",
		.docker = {"riscv64", "riscv64"},
		.audit = AUDIT_ARCH_RISCV64,
		.wide = true,
		.numbers = numbers_riscv64,
	},
#endif
};

/* Fixed-width rows: no pointer, no relocation. */
static const char scmp_names[][24] = {
	"SCMP_ARCH_X86",     "SCMP_ARCH_X86_64",   "SCMP_ARCH_X32",         "SCMP_ARCH_ARM",
	"SCMP_ARCH_AARCH64", "SCMP_ARCH_MIPS",     "SCMP_ARCH_MIPS64",      "SCMP_ARCH_MIPS64N32",
	"SCMP_ARCH_MIPSEL",  "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PPC",
	"SCMP_ARCH_PPC64",   "SCMP_ARCH_PPC64LE",  "SCMP_ARCH_S390",        "SCMP_ARCH_S390X",
	"SCMP_ARCH_PARISC",  "SCMP_ARCH_PARISC64", "SCMP_ARCH_RISCV64",     "SCMP_ARCH_LOONGARCH64",
	"SCMP_ARCH_M68K",    "SCMP_ARCH_SH",       "SCMP_ARCH_SHEB",
};

static const char docker_names[][16] = {
	"x86",         "386",      "x32",      "amd64",       "x86_64",    "arm",
	"arm64",       "aarch64",  "mips",     "mips64",      "mips64n32", "mipsel",
	"mipsle",      "mipsel64", "mips64le", "mipsel64n32", "ppc",       "ppc64",
	"ppc64le",     "s390",     "s390x",    "parisc",      "parisc64",  "riscv64",
	"loongarch64", "loong64",  "m68k",     "sh",          "sheb",
};

const struct arch *arch_find(const char *name)
{
	for (size_t i = 0; i < COUNT(arches); i++)
		if (!strcmp(arches[i].name, name))
			return &arches[i];
	return NULL;
}

unsigned int arch_call_count(void)
{
	return COUNT(offsets);
}

static const char *name_at(unsigned int index)
{
	return (const char *)&call_names + offsets[index];
}

const char *arch_call_name(unsigned int index)
{
	return index < COUNT(offsets) ? name_at(index) : NULL;
}

int arch_call_find(const char *name)
{
	int low = 0, high = COUNT(offsets);

	while (low < high) {
		int middle = (low + high) / 2;
		int order = strcmp(name, name_at(middle));

		if (!order)
			return middle;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return -1;
}

uint32_t arch_number(const struct arch *arch, unsigned int index)
{
	uint16_t packed = arch->numbers[index];

	if (packed == NONE)
		return ARCH_NO_CALL;
	return packed & PRIVATE ? PRIVATE_BASE | (packed & 0xff) : packed;
}

const char *arch_scmp_name(unsigned int index)
{
	return index < COUNT(scmp_names) ? scmp_names[index] : NULL;
}

const char *arch_docker_name(unsigned int index)
{
	return index < COUNT(docker_names) ? docker_names[index] : NULL;
}

static bool is_listed(const char *name, const char *(*list)(unsigned int))
{
	for (unsigned int i = 0; list(i); i++)
		if (!strcmp(list(i), name))
			return true;
	return false;
}

bool arch_scmp_known(const char *name)
{
	return is_listed(name, arch_scmp_name);
}

bool arch_docker_known(const char *name)
{
	return is_listed(name, arch_docker_name);
}
