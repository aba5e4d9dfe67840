/* SPDX-License-Identifier: MIT */
/*
 * Target descriptions: everything about an architecture that a filter depends on, and the
 * system call names and numbers. Compiled with POLICY_NATIVE_ONLY (the shim) it knows the
 * architecture of the build alone, but still all names.
 */
#ifndef STOCKADE_ARCH_H
#define STOCKADE_ARCH_H

#include <stdbool.h>
#include <stdint.h>

/* The architecture of the build, in our names. */
#if defined(__x86_64__) && !defined(__ILP32__)
#define ARCH_NATIVE "x86_64"
#elif defined(__i386__)
#define ARCH_NATIVE "i386"
#elif defined(__mips__) && _MIPS_SIM == 1 && defined(__MIPSEB__)
#define ARCH_NATIVE "mips"
#elif defined(__mips__) && _MIPS_SIM == 1
#define ARCH_NATIVE "mipsel"
#elif defined(__arm__) && defined(__ARM_EABI__) && !defined(__ARMEB__)
#define ARCH_NATIVE "arm"
#elif defined(__aarch64__) && !defined(__AARCH64EB__)
#define ARCH_NATIVE "aarch64"
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCH_NATIVE "riscv64"
#else
#error "no policy compiler for this architecture"
#endif

struct arch {
	const char *name;
	const char *scmp; /* in `architectures` */
	const char *docker[2]; /* in `includes.arches` */
	uint32_t audit; /* AUDIT_ARCH_* */
	bool big_endian;
	bool wide; /* 64-bit system call arguments */
	uint32_t first_foreign; /* numbers from here on belong to another ABI (x32); 0: none do */
	const uint16_t *numbers; /* by name index, packed; see arch_number() */
};

#define ARCH_NO_CALL UINT32_MAX

/* The description, or NULL. */
const struct arch *arch_find(const char *name);

/* All names known on any architecture, sorted; NULL after the last. */
const char *arch_call_name(unsigned int index);

unsigned int arch_call_count(void);

/* The index of a name, or -1 if no architecture has it. */
int arch_call_find(const char *name);

/* The number of a call, or ARCH_NO_CALL where this architecture does not have it. */
uint32_t arch_number(const struct arch *arch, unsigned int index);

/* Is this an SCMP_ARCH_ name that libseccomp knows? */
bool arch_scmp_known(const char *name);

/* The same for the names in `includes.arches`. */
bool arch_docker_known(const char *name);

/* The names that the two above accept, for a near match; NULL after the last. */
const char *arch_scmp_name(unsigned int index);
const char *arch_docker_name(unsigned int index);

#endif
