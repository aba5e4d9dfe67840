/* SPDX-License-Identifier: MIT */
/*
 * ujail-init, a static program with three jobs, all without any Python left in memory:
 *
 *   ujail-init init GRACE_S NAME DOOR [RULE...] PID
 *                                  PID 1 of a jail (or the service's parent, where the jail has
 *                                  no PID namespace): forward signals, reap, pass the status on;
 *                                  from NAME to RULE it is for who looks for the jail (running.py)
 *   ujail-init wait PID NAME VERBOSE UJAIL POLICY SERVICE_PID GROUP
 *                                  what is left of the `ujail` command: the same towards PID 1,
 *                                  then the last line, and `ujail --why` where there is a group to
 *                                  be removed, a death to be explained or a denial to be looked for
 *   ujail-init keep …              see keep.c
 *
 * No allocation, no stdio. The first job runs with the service's ids, with CAP_KILL and under a
 * filter of its own.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "confine.h"
#include "keep.h"

#define EXIT_OURS 125
#define LAST_SIGNAL 64
#define REAPED_AT_ONCE 64 /* before signals have their turn */
#define MORE (-2)

static int status_of(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Milliseconds since some moment in the past. */
static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Every signal: musl's sigfillset leaves out 32 to 34, and 34 is the first one that glibc gives to programs. */
static void fill(sigset_t *all)
{
	memset(all, 0xff, sizeof(*all));
}

/* Wait for a signal, for at most `timeout_ms` if that is not negative. Returns 0 when time is up. */
static int next_signal(long long timeout_ms, siginfo_t *from)
{
	const struct timespec timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000000};
	sigset_t all;
	int signal;

	fill(&all);
	do
		signal = sigtimedwait(&all, from, timeout_ms < 0 ? NULL : &timeout);
	while (signal < 0 && errno == EINTR);
	return signal < 0 ? 0 : signal;
}

/*
 * Whether a process of the jail sent it. kill(2) from outside leaves no pid; other codes are only what
 * the sender says. TERM is taken from all: of two that wait one is left, and might hide the other.
 */
static int is_from_inside(int signal, const siginfo_t *from)
{
	return signal != SIGTERM && from->si_code != SI_KERNEL &&
	       (from->si_pid || (from->si_code != SI_USER && from->si_code != SI_TKILL));
}

/*
 * Reap what has ended, but not without end: a jail can make orphans faster than they are reaped. Returns the
 * exit status of `pid` once it has ended, -1 if not, MORE if others may be left.
 */
static int reap(int pid)
{
	int ended, status, i;

	for (i = 0; i < REAPED_AT_ONCE; i++) {
		ended = waitpid(-1, &status, WNOHANG);
		if (ended == pid)
			return status_of(status);
		if (ended < 0 && errno == ECHILD)
			return EXIT_OURS; /* no child is left, so `pid` was never ours */
		if (ended <= 0)
			return -1;
	}
	return MORE;
}

/* PID 1 reaches all of its namespace and nothing else; any other parent, the session's first group. */
static void kill_jail(int service, int is_first)
{
	kill(is_first ? -1 : -service, SIGKILL);
}

static int run_init(int grace_s, int service)
{
	const int is_first = getpid() == 1;
	long long deadline_ms = -1;
	int status, signal;

	/* Else the service, of the same uid, could trace PID 1. It waits until that is so */
	if (prctl(PR_SET_DUMPABLE, 0) || close(STUB_HELD_FD) || confine())
		return EXIT_OURS;
	while ((status = reap(service)) < 0) {
		long long left_ms = -1;
		siginfo_t from;

		if (deadline_ms >= 0) {
			left_ms = deadline_ms - now_ms();
			if (left_ms < 0)
				left_ms = 0;
		}
		signal = next_signal(status == MORE ? 0 : left_ms, &from);
		if (!signal && status == MORE && left_ms)
			continue;
		if (!signal) {
			kill_jail(service, is_first);
			kill(service, SIGKILL); /* also if it has left that group */
			deadline_ms = -1;
		} else if (signal != SIGCHLD && !(is_first && is_from_inside(signal, &from))) {
			kill(service, signal);
			if (signal == SIGTERM && deadline_ms < 0)
				deadline_ms = now_ms() + grace_s * 1000LL;
		}
	}
	kill_jail(service, is_first); /* what it left behind in the background */
	return status;
}

/* ---- the waiting half of `ujail` ---- */

struct line {
	char text[256];
	size_t length;
};

static void add(struct line *line, const char *text)
{
	while (*text && line->length < sizeof(line->text) - 1)
		line->text[line->length++] = *text++;
}

static void add_number(struct line *line, unsigned int number)
{
	char digits[12];
	int n = sizeof(digits) - 1;

	digits[n] = '\0';
	do
		digits[--n] = '0' + number % 10;
	while (number /= 10);
	add(line, digits + n);
}

static void send_to_syslog(const struct line *body)
{
	const struct sockaddr_un address = {AF_UNIX, "/dev/log"};
	struct line line = {.length = 0};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	add(&line, "<");
	add_number(&line, LOG_DAEMON | LOG_NOTICE);
	add(&line, ">");
	add(&line, body->text);
	if (fd >= 0)
		sendto(fd, line.text, line.length, MSG_NOSIGNAL, (const void *)&address,
		       sizeof(address));
	close(fd);
}

static void say_last_line(const char *name, int status, int verbose)
{
	/* mips has 127 signals, and nobody uses those; but programs do end with exit status 255 */
	const int by_signal = status > 128 && status <= 128 + LAST_SIGNAL;
	struct line line = {.length = 0};

	add(&line, "ujail: ");
	add(&line, name);
	add(&line, by_signal ? ": killed by signal " : ": exited with ");
	add_number(&line, by_signal ? status - 128 : status);
	if (!verbose) {
		send_to_syslog(&line);
		return;
	}
	add(&line, "\n");
	if (write(2, line.text, line.length) < 0)
		return; /* nobody listens */
}

static void detach_stdio(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	/* A reader of the service's output sees its end when the service closes it, not when we do */
	dup2(fd, 0);
	dup2(fd, 1);
	close(fd);
}

static int run_wait(char **argv)
{
	const int pid = atoi(argv[0]), verbose = atoi(argv[2]);
	struct line text = {.length = 0};
	int status;

	prctl(PR_SET_NAME, argv[1]);
	detach_stdio();
	while ((status = reap(pid)) < 0) {
		int signal = next_signal(status == MORE ? 0 : -1, NULL);

		if (signal && signal != SIGCHLD)
			kill(pid, signal);
	}
	say_last_line(argv[1], status, verbose);
	/* with a policy somebody who asked for words may want those about its children */
	if (status == 128 + SIGSYS || *argv[6] || (verbose && *argv[4])) {
		add_number(&text, status);
		execl(argv[3], argv[3], "--why", argv[1], text.text, argv[4], argv[5], argv[6],
		      NULL);
	}
	return status;
}

int main(int argc, char **argv)
{
	sigset_t all;

	fill(&all);
	signal(SIGCHLD, SIG_DFL); /* an inherited "ignore" would reap behind our back */
	sigprocmask(SIG_SETMASK, &all, NULL);
	if (argc >= 6 && !strcmp(argv[1], "init"))
		return run_init(atoi(argv[2]), atoi(argv[argc - 1]));
	if (argc == 9 && !strcmp(argv[1], "wait"))
		return run_wait(argv + 2);
	if (argc >= 3 && !strcmp(argv[1], "keep"))
		return run_keep(argv + 2);
	return EXIT_OURS;
}
