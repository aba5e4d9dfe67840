/* SPDX-License-Identifier: MIT */
/* What the shim says: on descriptor 2, without stdio, and then it is the end of the program. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "policy.h"
#include "shim.h"

#define EXIT_NO_FILTER 127

void say(const char *text)
{
	if (write(2, text, strlen(text)) < 0)
		return; /* nobody listens; the exit status says it as well */
}

void say_number(unsigned long number)
{
	char digits[24];
	char *at = digits + sizeof(digits) - 1;

	*at = '\0';
	do
		*--at = '0' + number % 10;
	while (number /= 10);
	say(at);
}

void refuse(const char *what, const char *why)
{
	say("libpreload-seccomp: ");
	say(what);
	say(": ");
	say(why);
	say("\n");
	_exit(EXIT_NO_FILTER);
}

void refuse_errno(const char *what)
{
	const int error = errno;

	/* strerror is a table of thousands of bytes and locks */
	say("libpreload-seccomp: ");
	say(what);
	say(error == ENOENT   ? ": no such file"
	    : error == EACCES ? ": permission denied"
			      : ": error ");
	if (error != ENOENT && error != EACCES)
		say_number(error);
	say("\n");
	_exit(EXIT_NO_FILTER);
}

void refuse_policy(const char *path, const struct policy_result *result)
{
	say("libpreload-seccomp: ");
	say(path);
	if (result->line) {
		say(":");
		say_number(result->line);
		say(":");
		say_number(result->column);
	}
	say(": ");
	say(result->message);
	say("\n");
	_exit(EXIT_NO_FILTER);
}
