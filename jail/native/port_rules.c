/* SPDX-License-Identifier: MIT */
/*
 * Landlock rules for the ports of a service that shares the host's network: TCP alone, Linux 6.7 and later.
 * The step runs between clone and exec: no allocation.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/landlock.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel.h"
#include "steps.h"

/* What headers before Linux 6.7 do not have; the numbers are the same on every architecture */
#ifndef LANDLOCK_ACCESS_NET_BIND_TCP
#define LANDLOCK_ACCESS_NET_BIND_TCP (1ULL << 0)
#define LANDLOCK_ACCESS_NET_CONNECT_TCP (1ULL << 1)
#define LANDLOCK_RULE_NET_PORT 2
#endif

struct ruleset {
	uint64_t files, ports;
};

struct port_rule {
	uint64_t allowed, port;
};

_Static_assert(PORT_BIND == LANDLOCK_ACCESS_NET_BIND_TCP, "PORT_BIND");
_Static_assert(PORT_CONNECT == LANDLOCK_ACCESS_NET_CONNECT_TCP, "PORT_CONNECT");

int landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return abi < 0 ? -errno : abi;
}

/* All TCP ports are closed but those of the rules. no_new_privs has to be on. */
int step_ports(struct launch_state *state, struct step *step)
{
	const struct ruleset all = {.ports = PORT_BIND | PORT_CONNECT};
	const int fd = syscall(SYS_landlock_create_ruleset, &all, sizeof(all), 0);
	struct port_rule rule;
	uint32_t at;
	int result = 0;

	if (fd < 0)
		return -errno;
	for (at = 0; !result && at + sizeof(rule) <= step->len[0]; at += sizeof(rule)) {
		memcpy(&rule, step->s[0] + at, sizeof(rule));
		if (syscall(SYS_landlock_add_rule, fd, LANDLOCK_RULE_NET_PORT, &rule, 0))
			result = -errno;
	}
	if (!result && syscall(SYS_landlock_restrict_self, fd, 0))
		result = -errno;
	close(fd);
	return result;
}
