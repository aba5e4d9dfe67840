/* SPDX-License-Identifier: MIT */
/*
 *   ujail-init keep HOME [INDEX NAME]...
 *
 * What holds a network that was made for a jail, from inside its namespace: says "ok" on 1, waits
 * for the end of file on 0, and moves the devices that are named back into the namespace of
 * descriptor HOME, each under its old name. Whoever holds the other end of 0 need not be in order
 * for that: it may be killed. Part of ujail-init: no allocation, no stdio.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keep.h"

#define EXIT_OURS 125

struct request {
	struct nlmsghdr head;
	struct ifinfomsg device;
	struct rtattr home_head;
	int home;
	struct rtattr name_head;
	char name[IFNAMSIZ];
};

struct answer {
	struct nlmsghdr head;
	struct nlmsgerr result;
	char rest[256];
};

/* Returns 0 or -errno. */
static int move(int fd, int index, int home, const char *name)
{
	struct request request = {
		.head = {.nlmsg_len = sizeof(request),
			 .nlmsg_type = RTM_NEWLINK,
			 .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
		.device = {.ifi_family = AF_UNSPEC, .ifi_index = index},
		.home_head = {.rta_len = RTA_LENGTH(sizeof(int)), .rta_type = IFLA_NET_NS_FD},
		.home = home,
		.name_head = {.rta_len = RTA_LENGTH(IFNAMSIZ), .rta_type = IFLA_IFNAME},
	};
	struct answer answer;
	ssize_t size;

	strncpy(request.name, name, sizeof(request.name) - 1);
	if (send(fd, &request, sizeof(request), 0) != sizeof(request))
		return -errno;
	do
		size = recv(fd, &answer, sizeof(answer), 0);
	while (size < 0 && errno == EINTR);
	if (size < (ssize_t)(sizeof(answer.head) + sizeof(answer.result)) ||
	    answer.head.nlmsg_type != NLMSG_ERROR)
		return -EIO;
	return answer.result.error;
}

static void wait_for_end(void)
{
	char byte;
	ssize_t size;

	do
		size = read(0, &byte, 1);
	while (size > 0 || (size < 0 && errno == EINTR));
}

int run_keep(char **argv)
{
	const int home = atoi(argv[0]);
	const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int status = 0;

	if (fd < 0 || null < 0 || prctl(PR_SET_NAME, "ujail-net"))
		return EXIT_OURS;
	/* where nobody listens any more, 0 has its end already, and everything goes back */
	(void)!write(1, "ok\n", 3);
	/* who reads these sees their end when the service is gone, not when we are */
	dup2(null, 1);
	dup2(null, 2);
	wait_for_end();
	for (argv++; argv[0] && argv[1]; argv += 2) {
		/* the name may have been given to another device meanwhile: then the kernel finds one */
		if (move(fd, atoi(argv[0]), home, argv[1]) &&
		    move(fd, atoi(argv[0]), home, "jail%d"))
			status = EXIT_OURS;
	}
	return status;
}
