/* SPDX-License-Identifier: MIT */
/* Pids in digits, and as /proc tells them. Runs between clone and exec: no allocation. */
#define _GNU_SOURCE
#include <errno.h>
#include <unistd.h>

#include "steps.h"

void write_decimal(char *text, unsigned int number)
{
	char digits[12];
	int n = 0;

	do
		digits[n++] = '0' + number % 10;
	while (number /= 10);
	while (n)
		*text++ = digits[--n];
	*text = '\0';
}

int read_host_pid(struct launch_state *state)
{
	char text[12] = "";
	const char *digit;
	int pid = 0;

	if (readlinkat(state->proc_fd, "self", text, sizeof(text) - 1) < 0)
		return -errno;
	for (digit = text; *digit >= '0' && *digit <= '9'; digit++)
		pid = pid * 10 + (*digit - '0');
	return pid ? pid : -ESRCH;
}
