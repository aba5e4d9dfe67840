/* SPDX-License-Identifier: MIT */
/* Numbers back into words, for messages. The tables are the policy compiler's own. */
#include "arch.h"
#include "native.h"

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
