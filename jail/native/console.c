/* SPDX-License-Identifier: MIT */
/*
 * A terminal of the jail's own for its console. It is of the jail's devpts, and its master goes
 * to whoever launches. The steps run between clone and exec: no allocation.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "steps.h"

/* The socket's other end is the parent's: descriptors are not shared with it, memory is. */
static int send_master(int socket_fd, int master_fd)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	char byte = 0;
	struct iovec text = {.iov_base = &byte, .iov_len = 1};
	struct msghdr message = {
		.msg_iov = &text,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space),
	};

	memset(&control, 0, sizeof(control));
	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.head), &master_fd, sizeof(int));
	return sendmsg(socket_fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == 1 ? 0 : -errno;
}

/* The first terminal of a new devpts is number 0, which the plan relies on. */
static int open_slave(int master_fd, uid_t owner)
{
	int number = -1, unlocked = 0, fd;

	if (ioctl(master_fd, TIOCSPTLCK, &unlocked) || ioctl(master_fd, TIOCGPTN, &number))
		return -errno;
	if (number)
		return -EBUSY;
	fd = ioctl(master_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (!fchown(fd, owner, -1))
		return fd;
	number = -errno;
	close(fd);
	return number;
}

int step_console(struct launch_state *state, struct step *step)
{
	int master_fd = open(step->s[0], O_RDWR | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
	int result;

	if (master_fd < 0)
		return -errno;
	result = open_slave(master_fd, step->a[0]);
	if (result >= 0) {
		state->console_fd = result;
		result = send_master(state->request->console_fd, master_fd);
	}
	close(master_fd);
	return result;
}

/* A session has one controlling terminal: the service's, not that of PID 1 */
int step_console_stdio(struct launch_state *state, struct step *step)
{
	int fd;

	if (step->a[0] && ioctl(state->console_fd, TIOCSCTTY, 0))
		return -errno;
	for (fd = 0; fd < 3; fd++) {
		if (dup2(state->console_fd, fd) < 0)
			return -errno;
	}
	return 0;
}
