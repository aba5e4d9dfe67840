/* SPDX-License-Identifier: MIT */
/*
 * A program to trace: what it calls from main on is the same in every run. Its first call is
 * umask(01234), by which other tracers' logs are cut.
 *
 *   busy VERB [ARGUMENT]... [VERB [ARGUMENT]...]...
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_THREADS 64

static int number(const char *text)
{
	return atoi(text);
}

static void check(bool is_good, const char *what)
{
	if (is_good)
		return;
	perror(what);
	exit(99);
}

static void say(const char *text)
{
	check(write(1, text, strlen(text)) > 0, "write");
}

/* A call that libc neither caches nor makes itself. */
static void call_often(int times)
{
	while (times--)
		syscall(SYS_getppid);
}

static void do_calls(char **words)
{
	call_often(number(words[1]));
}

static void *thread_main(void *times)
{
	call_often(*(int *)times);
	return NULL;
}

static void do_threads(char **words)
{
	pthread_t threads[MAX_THREADS];
	const int n = number(words[1]);
	int times = number(words[2]), i;

	check(n <= MAX_THREADS, "threads");
	for (i = 0; i < n; i++)
		check(!pthread_create(&threads[i], NULL, thread_main, &times), "pthread_create");
	/* whether the joins have to wait is chance: at least one such call there always is */
	syscall(SYS_futex, &times, FUTEX_WAKE, 1, NULL, NULL, 0);
#ifdef SYS_futex_time64
	/* by which glibc waits where a long has 32 bits */
	syscall(SYS_futex_time64, &times, FUTEX_WAKE, 1, NULL, NULL, 0);
#endif
	for (i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

static void wait_for(pid_t pid, int expected)
{
	int status;

	check(waitpid(pid, &status, 0) == pid && status == expected, "waitpid");
}

static void do_forks(char **words)
{
	const int n = number(words[1]), times = number(words[2]);
	int i;

	for (i = 0; i < n; i++) {
		const pid_t pid = fork();

		check(pid >= 0, "fork");
		if (!pid) {
			call_often(times);
			_exit(0);
		}
		wait_for(pid, 0);
	}
}

/* All at once; half of them are killed at whatever they are doing. */
static void do_killed(char **words)
{
	const int n = number(words[1]);
	pid_t *pids = calloc(n, sizeof(*pids));
	int i;

	for (i = 0; i < n; i++) {
		pids[i] = fork();
		check(pids[i] >= 0, "fork"); /* or all there is would be killed */
		if (!pids[i])
			for (;;)
				if (syscall(SYS_getppid) == 1 || (i % 2 == 0 && fork() == 0))
					_exit(0);
		kill(pids[i], SIGKILL);
	}
	for (i = 0; i < n; i++)
		wait_for(pids[i], SIGKILL);
	while (wait(NULL) > 0)
		;
	free(pids);
}

static void do_spawn(char **words)
{
	const pid_t pid = fork();

	if (!pid) {
		execv(words[1], words + 1);
		_exit(98);
	}
	wait_for(pid, 0);
}

static void *exec_main(void *words)
{
	execv(((char **)words)[1], (char **)words + 1);
	return NULL;
}

static void do_thread_exec(char **words)
{
	pthread_t thread;

	check(!pthread_create(&thread, NULL, exec_main, words), "pthread_create");
	pthread_join(thread, NULL);
}

static void do_exec(char **words)
{
	exec_main(words);
	check(false, words[1]);
}

static volatile sig_atomic_t signals_seen;

static void on_signal(int signal_number, siginfo_t *info, void *context)
{
	(void)context;
	/* what sigqueue() gave comes through a tracer unchanged */
	if (signal_number == SIGUSR1 && info->si_value.sival_int == signals_seen)
		signals_seen++;
}

static void do_signals(char **words)
{
	struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
	const int n = number(words[1]);
	int i;

	sigaction(SIGUSR1, &action, NULL);
	for (i = 0; i < n; i++)
		sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = i});
	check(signals_seen == n, "signals");
}

/* A real SIGTRAP is a signal like any other. */
static void do_trap(char **words)
{
	const pid_t pid = fork();

	(void)words;
	if (!pid) {
		signal(SIGTRAP, SIG_DFL);
		raise(SIGTRAP);
		_exit(0);
	}
	int status;
	check(waitpid(pid, &status, 0) == pid && WTERMSIG(status) == SIGTRAP, "trap");
}

static void do_stop(char **words)
{
	int status, ends[2];
	char byte = 0;
	pid_t pid;

	(void)words;
	check(!pipe(ends), "pipe");
	pid = fork();
	if (!pid) {
		raise(SIGSTOP);
		_exit(read(ends[0], &byte, 1) == 1 ? 7
						   : 8); /* to be seen going on before it ends */
	}
	check(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status) &&
		      WSTOPSIG(status) == SIGSTOP,
	      "stop");
	check(waitpid(pid, &status, WUNTRACED | WNOHANG) == 0, "still stopped");
	kill(pid, SIGCONT);
	check(waitpid(pid, &status, WCONTINUED) == pid && WIFCONTINUED(status), "continue");
	check(write(ends[1], &byte, 1) == 1, "write");
	check(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 7, "end");
	close(ends[0]);
	close(ends[1]);
}

static void do_arguments(char **words)
{
	const int family = number(words[1]);
	int fd = socket(family, SOCK_STREAM, 0);

	ioctl(fd, 0x80001200 + family);
	prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
	fcntl(fd, F_GETFD);
}

/* A filter of its own, by `prctl` or `seccomp`, that denies what do_calls() calls. */
static void do_filter(char **words)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	if (!strcmp(words[1], "prctl"))
		check(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), "prctl");
	else
		check(!syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program), "seccomp");
}

/* More requests than any program has */
static void do_ioctls(char **words)
{
	int i;

	for (i = 0; i < number(words[1]); i++)
		ioctl(-1, 0x4000 + i);
}

static void do_read(char **words)
{
	const int fd = open(words[1], O_RDONLY);

	close(fd);
}

static void do_write(char **words)
{
	const int fd = open(words[1], O_WRONLY | O_CREAT, 0600);

	check(fd >= 0, words[1]);
	close(fd);
}

static void do_read_at(char **words)
{
	const int folder = open(words[1], O_PATH | O_DIRECTORY);

	close(openat(folder, words[2], O_RDONLY));
	check(!chdir(words[1]), words[1]);
	close(open(words[2], O_RDONLY));
}

static void do_connect(char **words)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strncpy(address.sun_path, words[1], sizeof(address.sun_path) - 1);
	(void)!connect(fd, (struct sockaddr *)&address, sizeof(address));
	close(fd);
}

static void do_i386_call(char **words)
{
	int i;

	for (i = 0; i < number(words[1]); i++) {
#ifdef __x86_64__
		int result = 20; /* getpid */

		__asm__ volatile("int $0x80" : "+a"(result) : : "memory");
#endif
	}
}

static void do_x32_call(char **words)
{
	int i;

	for (i = 0; i < number(words[1]); i++)
		syscall(0x40000000 + 39);
}

/* All from the first number up to the second. */
static void do_wild_calls(char **words)
{
	int i;

	for (i = number(words[1]); i < number(words[2]); i++)
		syscall(i);
}

static void on_term(int signal_number)
{
	_exit(signal_number);
}

/* Say that it is ready, and end with the number of the signal that comes. */
static void do_stay(char **words)
{
	(void)words;
	signal(SIGTERM, on_term);
	signal(SIGINT, on_term);
	signal(SIGHUP, on_term);
	say("ready\n");
	for (;;)
		pause();
}

static void do_hang(char **words)
{
	(void)words;
	say("ready\n");
	for (;;)
		pause();
}

/* The parent ends, the child goes on as daemons do. */
static void do_leave(char **words)
{
	(void)words;
	if (fork())
		_exit(3);
	setsid();
}

static void do_die(char **words)
{
	raise(number(words[1]));
}

static void do_exit(char **words)
{
	exit(number(words[1]));
}

static const struct verb {
	const char *name;
	int arguments;
	void (*run)(char **words);
} verbs[] = {
	{"calls", 1, do_calls},
	{"filter", 1, do_filter},
	{"threads", 2, do_threads},
	{"forks", 2, do_forks},
	{"killed", 1, do_killed},
	{"spawn", -1, do_spawn},
	{"thread-exec", -1, do_thread_exec},
	{"exec", -1, do_exec},
	{"signals", 1, do_signals},
	{"trap", 0, do_trap},
	{"stop", 0, do_stop},
	{"arguments", 1, do_arguments},
	{"ioctls", 1, do_ioctls},
	{"read", 1, do_read},
	{"write", 1, do_write},
	{"read-at", 2, do_read_at},
	{"connect", 1, do_connect},
	{"i386", 1, do_i386_call},
	{"x32", 1, do_x32_call},
	{"wild", 2, do_wild_calls},
	{"stay", 0, do_stay},
	{"hang", 0, do_hang},
	{"leave", 0, do_leave},
	{"die", 1, do_die},
	{"exit", 1, do_exit},
};

/* In a constructor, long before main. */
__attribute__((constructor)) static void early(void)
{
	int i;

	for (i = 0; getenv("BUSY_EARLY") && i < number(getenv("BUSY_EARLY")); i++)
		syscall(SYS_getpgid, 0);
}

static const struct verb *find_verb(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (!strcmp(name, verbs[i].name))
			return &verbs[i];
	fprintf(stderr, "busy: no verb %s\n", name);
	exit(2);
}

int main(int argc, char **argv)
{
	int at = 1;

	umask(01234);
	umask(022);
	if (argc < 2)
		return 2;
	while (at < argc) {
		const struct verb *verb = find_verb(argv[at]);

		if (verb->arguments >= argc - at)
			return 2;
		verb->run(argv + at);
		at += verb->arguments < 0 ? argc - at : verb->arguments + 1;
	}
	return 0;
}
