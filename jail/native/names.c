/* SPDX-License-Identifier: MIT */
/* Numbers back into words, for messages. The tables are the policy compiler's own. */
#include <stddef.h>

#include "arch.h"
#include "names.h"

static const char *const arches[] = {
	"x86_64", "i386", "mips", "mipsel", "arm", "aarch64", "riscv64",
};

const char *audit_arch_name(uint32_t audit)
{
	unsigned int i;

	for (i = 0; i < sizeof(arches) / sizeof(arches[0]); i++) {
		const struct arch *arch = arch_find(arches[i]);

		if (arch && arch->audit == audit)
			return arch->name;
	}
	return NULL;
}

const char *native_arch(void)
{
	return ARCH_NATIVE;
}

const char *second_arch(void)
{
#if defined(__x86_64__)
	return "i386";
#elif defined(__aarch64__)
	return "arm";
#else
	return NULL;
#endif
}

uint32_t arch_audit(const char *arch_name)
{
	const struct arch *arch = arch_find(arch_name);

	return arch ? arch->audit : 0;
}

const char *call_name(const char *arch_name, uint32_t number)
{
	const struct arch *arch = arch_find(arch_name);
	unsigned int i;

	for (i = 0; arch && i < arch_call_count(); i++)
		if (arch_number(arch, i) == number)
			return arch_call_name(i);
	return NULL;
}

int call_number(const char *arch_name, const char *name)
{
	const struct arch *arch = arch_find(arch_name);
	const int index = arch_call_find(name);
	const uint32_t number = arch && index >= 0 ? arch_number(arch, index) : ARCH_NO_CALL;

	return number == ARCH_NO_CALL ? -1 : (int)number;
}

const char *call_at(unsigned int index)
{
	return arch_call_name(index);
}

const char *arch_scmp(const char *arch_name)
{
	const struct arch *arch = arch_find(arch_name);

	return arch ? arch->scmp : NULL;
}

int arch_kind(const char *arch_name)
{
	const struct arch *arch = arch_find(arch_name);

	return arch ? (arch->big_endian ? ARCH_BIG : 0) | (arch->wide ? ARCH_WIDE : 0) : -1;
}
