/* SPDX-License-Identifier: MIT */
/*
 * libpreload-seccomp.so: door 2. Stands in for libc's start routine, and for main, so that
 * the policy named by SECCOMP_FILE is in force from the first instruction of main on.
 *
 * One binary serves glibc and musl: it uses only calls that both have under the same name, and
 * no stdio. It never goes on without its filter: one line on descriptor 2 and exit status 127.
 * Without a SECCOMP_FILE it goes on under a tracer's filter only, which it tells where main is.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "arch.h"
#include "mark.h"
#include "policy.h"
#include "shim.h"

#define FLAG_TSYNC_ESRCH (1U << 4) /* since Linux 5.7; older headers do not name it */

#define EXPORT __attribute__((visibility("default")))

typedef int (*main_function)(int, char **, char **);
typedef int (*start_function)(main_function, int, char **, void (*)(void), void (*)(void),
			      void (*)(void), void *);

/* The one piece of state: libc calls our main with the program's arguments and nothing else */
static main_function real_main;

/* ---- the filter ---- */

struct room { /* memory that is ours alone and gone before main */
	char *start;
	size_t size;
};

/* Offsets go past the libc: on 32-bit they are 32 bits wide in glibc's calls and 64 in musl's */
#ifdef SYS_mmap2
#define MMAP SYS_mmap2
#else
#define MMAP SYS_mmap
#endif

static void *take(struct room *room, size_t size, const char *path)
{
	const long start = syscall(MMAP, NULL, size, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L);

	if (start == -1)
		refuse_errno(path);
	room->start = (char *)start;
	room->size = size;
	return room->start;
}

static void give_back(struct room *room)
{
	munmap(room->start, room->size);
}

/* Read a whole policy; one byte more than is allowed, so that the compiler can say so. */
static size_t read_policy(const char *path, struct room *room)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	const long end = fd < 0 ? -1 : syscall(SYS_lseek, fd, 0L, SEEK_END);
	size_t limit, length = 0;
	ssize_t got;

	if (end < 0 || syscall(SYS_lseek, fd, 0L, SEEK_SET) < 0)
		refuse_errno(path);
	limit = end > POLICY_MAX_BYTES ? POLICY_MAX_BYTES + 1 : (size_t)end + 1;
	take(room, limit, path);
	while (length < limit) {
		got = read(fd, room->start + length, limit - length);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			refuse_errno(path);
		if (!got)
			break;
		length += got;
	}
	close(fd);
	return length;
}

static uint64_t own_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};

	if (syscall(SYS_capget, &header, data))
		return 0;
	return data[0].permitted | (uint64_t)data[1].permitted << 32;
}

static unsigned int kernel_version(void)
{
	struct utsname name;
	char *minor;
	unsigned long major;

	if (uname(&name))
		return 0;
	major = strtoul(name.release, &minor, 10);
	return major << 16 | (*minor == '.' ? strtoul(minor + 1, NULL, 10) & 0xffff : 0);
}

/* Returns the listener, if there is to be one, else -1. */
static int install(const char *path, struct sock_filter *code, const struct policy_result *result,
		   bool notify)
{
	struct sock_fprog program = {.len = result->n_insns, .filter = code};
	/* a call that is refused with an errno has a record only where the filter asks for one */
	unsigned int flags = result->filter_flags | SECCOMP_FILTER_FLAG_LOG;
	long refused;

	if (notify) { /* who listens needs no record, and that the shim asks is no denial */
		flags &= ~(unsigned int)SECCOMP_FILTER_FLAG_LOG;
		flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
	}
	/* a thread that cannot be brought along is told by its id, which could be a descriptor's */
	if (notify && flags & SECCOMP_FILTER_FLAG_TSYNC)
		flags |= FLAG_TSYNC_ESRCH;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		refuse_errno("no_new_privs");
	refused = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
	if (notify && refused >= 0)
		return refused;
	if (notify)
		refuse_errno("seccomp listener");
	/* A kernel that has not heard of a flag: all but TSYNC, which brings a library's threads
	 * under the filter, only add a log line or speed */
	if (refused && errno == EINVAL && flags & ~SECCOMP_FILTER_FLAG_TSYNC)
		refused = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
				  flags & SECCOMP_FILTER_FLAG_TSYNC, &program);
	if (refused > 0)
		refuse(path, "a thread could not be brought under the filter");
	if (refused)
		refuse_errno("seccomp");
	return -1;
}

static void debug_dump(const struct sock_filter *code, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		say_number(i);
		say(": code ");
		say_number(code[i].code);
		say(" jt ");
		say_number(code[i].jt);
		say(" jf ");
		say_number(code[i].jf);
		say(" k ");
		say_number(code[i].k);
		say("\n");
	}
}

/* SECCOMP_MODE: what is not known is refused, for it may have been meant to hold more. */
static unsigned int read_mode(const char *mode)
{
	static const struct {
		const char *word;
		unsigned int flags;
	} modes[] = {
		{"enforce", 0},
		{"complain", POLICY_COMPLAIN},
		{"enforce,notify", POLICY_NOTIFY},
		{"complain,notify", POLICY_COMPLAIN | POLICY_NOTIFY},
	};
	size_t i;

	if (!mode)
		return 0;
	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (!strcmp(mode, modes[i].word))
			return modes[i].flags;
	refuse("SECCOMP_MODE", "unknown");
}

/*
 * The supervisor takes its own copy of the listener, and ours has to go: who has it decides on
 * the service's calls. The first call waits until it is taken; the second may be one that the
 * policy denies, and then the supervisor lets it pass. Neither is an exception in the filter.
 */
static void hand_over(int listener)
{
	prctl(MARK_LISTENER, listener, 0, 0, 0);
	if (close(listener))
		refuse_errno("listener");
	errno = 0; /* as main expects it */
}

static void put_filter_on(const char *path, const char *mode, bool debug)
{
	struct sock_filter
		code[POLICY_MAX_INSNS]; /* on the stack: munmap may be what the policy forbids */
	struct room text, scratch;
	struct policy_request request = {
		.arch = ARCH_NATIVE,
		.capabilities = own_capabilities(),
		.kernel = kernel_version(),
		.flags = POLICY_LENIENT | read_mode(mode),
	};
	struct policy_result result;
	int listener;

	request.policy_size = read_policy(path, &text);
	request.policy = text.start;
	take(&scratch, policy_scratch_size(request.policy_size, 0), path);
	if (policy_compile(&request, (unsigned char *)code, sizeof(code), scratch.start,
			   scratch.size, &result))
		refuse_policy(path, &result);
	give_back(&text);
	give_back(&scratch);
	if (debug)
		debug_dump(code, result.n_insns);
	listener = install(path, code, &result, request.flags & POLICY_NOTIFY);
	if (listener >= 0)
		hand_over(listener);
}

/* The answer comes from the filter: no environment and no program can pretend to be one. */
static bool is_traced(void)
{
	return prctl(MARK_QUESTION, 0, 0, 0, 0) == -1 && errno == MARK_ANSWER;
}

static int shim_main(int argc, char **argv, char **envp)
{
	const char *path = find_variable(envp, "SECCOMP_FILE");
	const char *debug = find_variable(envp, "SECCOMP_DEBUG");

	/* A program with privileges of its own does not take a policy from whoever started it */
	if (getauxval(AT_SECURE))
		refuse(SHIM_NAME, "refused in a setuid or file-capability program");
	if (path && *path)
		put_filter_on(path, find_variable(envp, "SECCOMP_MODE"),
			      debug && strtoul(debug, NULL, 10) > 0);
	else if (!is_traced())
		refuse("SECCOMP_FILE", "not set");
	clean_environment(envp);
	if (environ && environ != envp) /* a constructor has called setenv */
		clean_environment(environ);
	if (!path || !*path) {
		prctl(MARK_MAIN, 0, 0, 0, 0);
		errno = 0; /* as main expects it */
	}
	return real_main(argc, argv, envp);
}

static start_function next(const char *name)
{
	/* POSIX lets a function travel through a void * */
	start_function start = (start_function)dlsym(RTLD_NEXT, name);

	if (!start)
		refuse(name, "this program's libc has no such routine");
	return start;
}

EXPORT int __libc_start_main(main_function program, int argc, char **argv, void (*init)(void),
			     void (*fini)(void), void (*rtld_fini)(void), void *stack_end);
EXPORT int __uClibc_main(main_function program, int argc, char **argv, void (*init)(void),
			 void (*fini)(void), void (*rtld_fini)(void), void *stack_end);

EXPORT int __libc_start_main(main_function program, int argc, char **argv, void (*init)(void),
			     void (*fini)(void), void (*rtld_fini)(void), void *stack_end)
{
	real_main = program;
	return next("__libc_start_main")(shim_main, argc, argv, init, fini, rtld_fini, stack_end);
}

EXPORT int __uClibc_main(main_function program, int argc, char **argv, void (*init)(void),
			 void (*fini)(void), void (*rtld_fini)(void), void *stack_end)
{
	real_main = program;
	return next("__uClibc_main")(shim_main, argc, argv, init, fini, rtld_fini, stack_end);
}
