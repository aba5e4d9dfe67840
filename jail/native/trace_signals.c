/* SPDX-License-Identifier: MIT */
/*
 * The signals that are for the traced program. As long as its first process lives, a handler
 * hands them on, so that the loop can wait for nothing but stops, which takes half of the
 * calls; later they are held, and the loop asks for them and tells all that are left. One
 * signal means KILL: who sent that to the tracer itself would not get a trace.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "trace.h"

static const int signals[N_SIGNALS] = {
	SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1,   SIGUSR2, SIGALRM,          SIGWINCH,
	SIGIO,   SIGPWR, SIGURG, SIGCONT, SIGVTALRM, SIGPROF, TRACE_SIGNAL_END,
};

/* All that a handler can know; there is one trace at a time */
static volatile sig_atomic_t first_process;
static volatile sig_atomic_t
	missed[N_SIGNALS]; /* came when it had ended, and the loop did not know yet */

/* The terminal tells the tracees as well */
static bool is_for_them(const siginfo_t *info)
{
	return info->si_signo != SIGCHLD && info->si_code != SI_KERNEL;
}

/* A tracee's stops are told whatever is asked for, and one that has stopped lives: only an end is one. */
static bool has_ended(pid_t pid)
{
	siginfo_t end = {0};

	if (waitid(P_PID, pid, &end, WEXITED | WNOHANG | WNOWAIT))
		return true;
	return end.si_pid && (end.si_code == CLD_EXITED || end.si_code == CLD_KILLED ||
			      end.si_code == CLD_DUMPED);
}

static int meant(int number)
{
	return number == TRACE_SIGNAL_END ? SIGKILL : number;
}

static void on_signal(int number, siginfo_t *info, void *context)
{
	const int error = errno;
	bool lives;
	size_t i;

	if (!first_process || !is_for_them(info))
		return;
	lives = !has_ended(first_process);
	if (lives)
		kill(first_process, meant(number));
	for (i = 0; i < N_SIGNALS; i++)
		missed[i] |= signals[i] == number && (!lives || number == TRACE_SIGNAL_END);
	errno = error;
}

static void fill(sigset_t *set)
{
	size_t i;

	sigemptyset(set);
	for (i = 0; i < N_SIGNALS; i++)
		sigaddset(set, signals[i]);
}

void hold_signals(struct trace *trace)
{
	sigset_t set;

	fill(&set);
	sigprocmask(SIG_BLOCK, &set, &trace->mask);
	trace->is_holding = true;
}

void forward_signals(struct trace *trace)
{
	struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
	sigset_t set;
	size_t i;

	fill(&set);
	for (i = 0; i < N_SIGNALS; i++)
		missed[i] = 0;
	first_process = trace->first_pid;
	for (i = 0; i < N_SIGNALS; i++)
		sigaction(signals[i], &action, &trace->actions[i]);
	signal(SIGCHLD, SIG_DFL); /* who ignores it is not told of a child's end */
	trace->is_forwarding = true;
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

void first_has_ended(struct trace *trace)
{
	sigset_t set;

	fill(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	first_process = 0;
}

void restore_signals(struct trace *trace)
{
	size_t i;

	for (i = 0; trace->is_forwarding && i < N_SIGNALS; i++)
		sigaction(signals[i], &trace->actions[i], NULL);
	if (trace->is_holding)
		sigprocmask(SIG_SETMASK, &trace->mask, NULL);
	trace->is_forwarding = trace->is_holding = false;
}

static void tell_all(const struct trace *trace, int number)
{
	size_t i;

	for (i = 0; i < trace->tasks.size; i++)
		if (trace->tasks.slots[i].tid)
			kill(trace->tasks.slots[i].tid, meant(number));
}

/* Until somebody has something to tell: a task by SIGCHLD, or who sends a signal for them all. */
static void await_signal(const struct trace *trace)
{
	sigset_t set;
	siginfo_t info;

	fill(&set);
	sigaddset(&set, SIGCHLD);
	if (sigwaitinfo(&set, &info) > 0 && is_for_them(&info))
		tell_all(trace, info.si_signo);
}

pid_t next_event(const struct trace *trace, int *status)
{
	pid_t tid;
	size_t i;

	for (i = 0; !trace->first_pid && i < N_SIGNALS; i++) {
		if (missed[i])
			tell_all(trace, signals[i]);
		missed[i] = 0;
	}
	for (;;) {
		tid = waitpid(-1, status, __WALL | (trace->first_pid ? 0 : WNOHANG));
		if (tid > 0)
			return tid;
		if (tid < 0 && errno != EINTR)
			return -errno;
		if (!trace->first_pid)
			await_signal(trace);
	}
}
