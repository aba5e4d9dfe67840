/* SPDX-License-Identifier: MIT */
/*
 * The floor of the bench: what a minimal static jailer in C needs for the same jail, with
 * nothing between it and the kernel. No supervision, no error texts, no old kernels, no users.
 *
 *   floor [-t] [-d DIR] [-e FILE] [-l LINK=TARGET] [-b PATH] [-F FILTER] -- PROGRAM [ARGUMENT]...
 *
 * -t writes the clock at the start of main to stdout; -d, -e and -l make a directory, an empty
 * file and a link in the new root, -b binds a host path read-only at its own place; -F names a
 * file that holds struct sock_filter[].
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NEW_ROOT "/tmp"
#define FILTER_MAX 4096
#define BINDS_MAX 64
#define CHECK(call)                                                                                \
	do {                                                                                       \
		if ((call) < 0)                                                                    \
			_exit(125);                                                                \
	} while (0)

/* musl's <sys/mount.h> has none of these */
#define TREE_CLONE (1 /* OPEN_TREE_CLONE */ | O_CLOEXEC)
#define FROM_EMPTY 4 /* MOVE_MOUNT_F_EMPTY_PATH */
#define SET_RDONLY 1 /* MOUNT_ATTR_RDONLY */
#define SET_BIND (SET_RDONLY | 2 /* MOUNT_ATTR_NOSUID */ | 4 /* MOUNT_ATTR_NODEV */)

static struct sock_filter code[FILTER_MAX];
static struct sock_fprog filter = {.filter = code};
static char stack[64 * 1024] __attribute__((aligned(16)));

static void set_attributes(int fd, const char *path, uint64_t set)
{
	const uint64_t attributes[4] = {set};

	CHECK(syscall(SYS_mount_setattr, fd, path, AT_EMPTY_PATH, attributes, sizeof(attributes)));
}

static void make_dev(void)
{
	static const struct {
		const char *name;
		int major, minor;
	} nodes[] = {{"dev/null", 1, 3},   {"dev/zero", 1, 5},    {"dev/full", 1, 7},
		     {"dev/random", 1, 8}, {"dev/urandom", 1, 9}, {"dev/tty", 5, 0}};
	static const char *const links[][2] = {{"pts/ptmx", "dev/ptmx"},
					       {"/proc/self/fd", "dev/fd"},
					       {"/proc/self/fd/0", "dev/stdin"},
					       {"/proc/self/fd/1", "dev/stdout"},
					       {"/proc/self/fd/2", "dev/stderr"}};
	unsigned int i;

	CHECK(mkdir("dev", 0755));
	CHECK(mount("tmpfs", "dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755,size=64k"));
	for (i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
		CHECK(mknod(nodes[i].name, S_IFCHR | 0666,
			    makedev(nodes[i].major, nodes[i].minor)));
	for (i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		CHECK(symlink(links[i][0], links[i][1]));
	CHECK(mkdir("dev/shm", 0755));
	CHECK(mount("tmpfs", "dev/shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		    "mode=1777,size=1m"));
	CHECK(mkdir("dev/pts", 0755));
	CHECK(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
		    "newinstance,ptmxmode=0666,mode=0620,gid=5"));
}

static void make_root(char **options)
{
	int trees[BINDS_MAX], n = 0, root;
	char **option;

	CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	for (option = options; strcmp(option[0], "--"); option += 2)
		if (option[0][1] == 'b' && n < BINDS_MAX)
			CHECK(trees[n++] = syscall(SYS_open_tree, AT_FDCWD, option[1], TREE_CLONE));
	CHECK(mount("floor", NEW_ROOT, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=1m"));
	CHECK(root = open(NEW_ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC));
	CHECK(fchdir(root));
	umask(0);
	make_dev();
	for (option = options, n = 0; strcmp(option[0], "--"); option += 2) {
		char *path = option[1] + 1, *equals = strchr(path, '=');

		if (option[0][1] == 'd') {
			CHECK(mkdir(path, 0755));
		} else if (option[0][1] == 'e') {
			CHECK(mknod(path, S_IFREG | 0444, 0));
		} else if (option[0][1] == 'l' && equals) {
			*equals = '\0';
			CHECK(symlink(equals + 1, path));
		} else if (option[0][1] == 'b') {
			set_attributes(trees[n], "", SET_BIND);
			CHECK(syscall(SYS_move_mount, trees[n++], "", root, path, FROM_EMPTY));
		}
	}
	CHECK(syscall(SYS_pivot_root, ".", "."));
	CHECK(umount2(".", MNT_DETACH));
	CHECK(chdir("/"));
	set_attributes(AT_FDCWD, "/", SET_RDONLY);
	set_attributes(AT_FDCWD, "/dev", SET_RDONLY);
}

static void drop_privileges(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {0};
	int capability;

	for (capability = 0; !prctl(PR_CAPBSET_DROP, capability, 0, 0, 0); capability++)
		;
	CHECK(syscall(SYS_capset, &header, none));
	CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0));
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	if (filter.len)
		CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter));
}

static int jailed(void *argument)
{
	static char *const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
	char **options = argument, **program = options;

	while (strcmp(program[0], "--"))
		program += 2;
	make_root(options);
	CHECK(setsid());
	umask(022);
	CHECK(syscall(SYS_close_range, 3, ~0U, 0));
	drop_privileges();
	execve(program[1], program + 1, environment);
	_exit(127);
}

static void read_filter(const char *path)
{
	int fd;
	ssize_t size;

	CHECK(fd = open(path, O_RDONLY | O_CLOEXEC));
	CHECK(size = read(fd, code, sizeof(code)));
	close(fd);
	filter.len = size / sizeof(code[0]);
}

int main(int argc, char **argv)
{
	const int flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;
	struct timespec now;
	char **option;
	int pid, status;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (argc > 1 && !strcmp(argv[1], "-t")) {
		uint64_t start_ns = now.tv_sec * 1000000000ULL + now.tv_nsec;

		CHECK(write(1, &start_ns, sizeof(start_ns)));
		argv++;
		argc--;
	}
	for (option = argv + 1; option < argv + argc && strcmp(option[0], "--"); option += 2)
		if (!strcmp(option[0], "-F"))
			read_filter(option[1]);
	if (option + 1 >= argv + argc)
		return 125;
	/* In our own memory, as vfork: copying even a small one takes longer */
	pid = clone(jailed, stack + sizeof(stack), flags | CLONE_VM | CLONE_VFORK | SIGCHLD,
		    argv + 1);
	CHECK(pid);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
