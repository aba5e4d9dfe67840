/* SPDX-License-Identifier: MIT */
/* The jail's own network namespace. The steps run between clone and exec: no allocation. */
#define _GNU_SOURCE
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel.h"
#include "steps.h"

/* A new namespace has lo and nothing else, and that is down: programs that talk to themselves would fail. */
int step_loopback(struct launch_state *state, struct step *step)
{
	struct ifreq request;
	int fd, result = 0;

	memset(&request, 0, sizeof(request));
	memcpy(request.ifr_name, "lo", sizeof("lo"));
	/* a Unix socket takes these requests too, and every kernel has those */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, SIOCGIFFLAGS, &request)) {
		result = -errno;
	} else {
		request.ifr_flags |= IFF_UP;
		if (ioctl(fd, SIOCSIFFLAGS, &request))
			result = -errno;
	}
	close(fd);
	return result;
}

/* One that was made beforehand, with devices in it. Without a descriptor nothing starts. */
int step_network(struct launch_state *state, struct step *step)
{
	return setns(state->request->net_fd, CLONE_NEWNET) ? -errno : 0;
}

int make_network(void)
{
	return unshare(CLONE_NEWNET) ? -errno : 0;
}
