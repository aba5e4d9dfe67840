/* SPDX-License-Identifier: MIT */
/* Architectures and system calls by name and by number. Part of cffi's cdef. */
#ifndef STOCKADE_NAMES_H
#define STOCKADE_NAMES_H

#include <stdint.h>

/* Our name of the architecture with an AUDIT_ARCH_ value, or NULL. */
const char *audit_arch_name(uint32_t audit);

/* Our name of the architecture that this was built for. */
const char *native_arch(void);

/* The architecture whose ABI this machine runs beside its own, or NULL. */
const char *second_arch(void);

/* The number of a system call, or -1. */
int call_number(const char *arch, const char *name);

/* The AUDIT_ARCH_ value of one of our architectures, or 0. */
uint32_t arch_audit(const char *arch);

/* The name of a system call number of one of our architectures, or NULL. */
const char *call_name(const char *arch, uint32_t number);

/* All names of system calls that any architecture has, sorted; NULL after the last. */
const char *call_at(unsigned int index);

/* The SCMP_ARCH_ name of one of our architectures, or NULL. */
const char *arch_scmp(const char *arch);

/* The ARCH_ bits of one of our architectures, or -1. */
#define ARCH_BIG 1 /* big-endian */
#define ARCH_WIDE 2 /* 64-bit arguments of system calls */
int arch_kind(const char *arch);

#endif
