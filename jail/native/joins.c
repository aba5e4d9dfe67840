/* SPDX-License-Identifier: MIT */
/* Joining the namespaces of another process. Runs between clone and exec: no allocation. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "steps.h"

#define STARTED_FIELD 22 /* of /proc/PID/stat, see proc(5); the second one is in parentheses */

/* When a process began, in ticks since the boot; 0 if that cannot be read. */
static uint64_t read_started(int process_fd)
{
	char text[1024]; /* a name has 64 bytes at most, 50 numbers 20 each */
	int fd = openat(process_fd, "stat", O_RDONLY | O_CLOEXEC);
	const char *at;
	uint64_t started = 0;
	ssize_t size;
	int field;

	if (fd < 0)
		return 0;
	size = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (size <= 0)
		return 0;
	text[size] = '\0';
	at = strrchr(text, ')');
	for (field = 2; at && field < STARTED_FIELD; field++)
		at = strchr(at + 1, ' ');
	if (!at)
		return 0;
	for (at++; *at >= '0' && *at <= '9'; at++)
		started = started * 10 + (*at - '0');
	return started;
}

/* The directory stays that of the process found first: when it ends, nothing in it can be opened. */
int step_setns(struct launch_state *state, struct step *step)
{
	int process_fd = openat(state->proc_fd, step->s[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *file = step->s[1];
	uint64_t i;

	if (process_fd < 0)
		return -errno;
	if (read_started(process_fd) != step->a[0])
		return -ESTALE;
	for (i = 0; i < step->a[1] && file < step->s[1] + step->len[1]; i++) {
		int fd = openat(process_fd, file, O_RDONLY | O_CLOEXEC);

		if (fd < 0 || setns(fd, 0))
			return -errno;
		close(fd);
		if (!strcmp(file, "ns/pid"))
			state->entered = true;
		file += strlen(file) + 1;
	}
	close(process_fd);
	return i == step->a[1] ? 0 : -EINVAL;
}
