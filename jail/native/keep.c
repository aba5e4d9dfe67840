/* SPDX-License-Identifier: MIT */
/*
 *   ujail-init keep HOME [INDEX NAME]...
 *
 * What holds a network that was made for a jail, from inside its namespace: says "ok" on 1, waits
 * for the end of file on 0, and moves the devices that are named back into the namespace of
 * descriptor HOME, each under its old name. Those with an empty name are removed: a connection whose
 * other side does not answer would keep the namespace, and a device's name outside, for minutes.
 * Whoever holds the other end of 0 need not be in order for that: it may be killed. Part of
 * ujail-init: no allocation, no stdio.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keep.h"

#define EXIT_OURS 125
/* What was sent has this long to arrive: less than network.py waits for a name to be free */
#define DRAIN_TICK_MS 50
#define DRAIN_TICKS 40

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
static int ask(int fd, const struct nlmsghdr *request)
{
	struct answer answer;
	ssize_t size;

	if (send(fd, request, request->nlmsg_len, 0) != (ssize_t)request->nlmsg_len)
		return -errno;
	do
		size = recv(fd, &answer, sizeof(answer), 0);
	while (size < 0 && errno == EINTR);
	if (size < (ssize_t)(sizeof(answer.head) + sizeof(answer.result)) ||
	    answer.head.nlmsg_type != NLMSG_ERROR)
		return -EIO;
	return answer.result.error;
}

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

	strncpy(request.name, name, sizeof(request.name) - 1);
	return ask(fd, &request.head);
}

static int delete (int fd, int index)
{
	struct request request = {
		.head = {.nlmsg_len = offsetof(struct request, home_head),
			 .nlmsg_type = RTM_DELLINK,
			 .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
		.device = {.ifi_family = AF_UNSPEC, .ifi_index = index},
	};

	return ask(fd, &request.head);
}

/* FIN_WAIT1, LAST_ACK, CLOSING: the process is gone, and what it has sent may not have arrived */
static bool is_sending(const char *state)
{
	return !memcmp(state, "04", 2) || !memcmp(state, "09", 2) || !memcmp(state, "0B", 2);
}

/* Whether a line of the kernel's list of TCP sockets has such a state; it is the fourth word. */
static bool lists_sending(const char *path)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[1024], state[2] = "";
	unsigned int word = 0, letters = 0;
	bool found = false, inside = false;
	ssize_t size, i;

	while (fd >= 0 && !found && (size = read(fd, text, sizeof(text))) > 0) {
		for (i = 0; i < size && !found; i++) {
			const bool blank = text[i] == ' ' || text[i] == '\n';

			if (!blank && !inside) {
				word++;
				letters = 0;
			}
			inside = !blank;
			if (!blank && word == 4 && letters < sizeof(state))
				state[letters++] = text[i];
			found = blank && word == 4 && letters == sizeof(state) && is_sending(state);
			if (text[i] == '\n')
				word = letters = 0;
		}
	}
	if (fd >= 0)
		close(fd);
	return found;
}

/* Before its devices are removed. */
static void drain(void)
{
	int i;

	for (i = 0; i < DRAIN_TICKS; i++) {
		if (!lists_sending("/proc/self/net/tcp") && !lists_sending("/proc/self/net/tcp6"))
			return;
		poll(NULL, 0, DRAIN_TICK_MS);
	}
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
	char **device;
	int status = 0;

	if (fd < 0 || null < 0 || prctl(PR_SET_NAME, "ujail-net"))
		return EXIT_OURS;
	/* where nobody listens any more, 0 has its end already, and everything goes back */
	(void)!write(1, "ok\n", 3);
	/* who reads these sees their end when the service is gone, not when we are */
	dup2(null, 1);
	dup2(null, 2);
	wait_for_end();
	for (device = argv + 1; device[0] && device[1]; device += 2) {
		/* the name may have been given to another device meanwhile: then the kernel finds one */
		if (*device[1] && move(fd, atoi(device[0]), home, device[1]) &&
		    move(fd, atoi(device[0]), home, "jail%d"))
			status = EXIT_OURS;
	}
	drain();
	for (device = argv + 1; device[0] && device[1]; device += 2) {
		if (!*device[1] && delete (fd, atoi(device[0])))
			status = EXIT_OURS;
	}
	return status;
}
