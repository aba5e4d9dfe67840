/* SPDX-License-Identifier: MIT */
/*
 * The probe: what a jail looks like from inside, one fact a line. Tests run it in a jail and, for
 * each denial, once more outside, where the same request must succeed.
 *
 *   probe VERB [ARGUMENT]... [VERB [ARGUMENT]...]...
 *
 * A fact is printed as "name value". A try is printed as "verb:argument ok" or "verb:argument
 * errno N". Verbs run in order, in one process. Must not need /proc, a heap or a locale: it runs
 * under policies that allow little more than write(2).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#ifndef PR_CAP_AMBIENT
#define PR_CAP_AMBIENT 47
#define PR_CAP_AMBIENT_IS_SET 1
#endif

/* musl's name of the call with 32-bit seconds */
#ifndef SYS_settimeofday
#define SYS_settimeofday SYS_settimeofday_time32
#endif

#define SIGNALS 64
#define REST -1 /* a verb that takes all arguments that are left */

extern char **environ;

static char data[65536];

#define PIECE 4000 /* of text, which say() takes whole */

/* As dprintf(3), which would ask for lseek, fstat and ioctl. */
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
	char text[4096];
	va_list arguments;
	int size;

	va_start(arguments, format);
	size = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (size > 0 && write(1, text, size < (int)sizeof(text) ? size : (int)sizeof(text) - 1) < 0)
		_exit(98);
}

/* ---- facts ---- */

static long show_fds(char **arguments)
{
	struct stat status;
	char path[32], target[256];
	ssize_t length;
	int fd;

	(void)arguments;
	for (fd = 0; fd < 1024; fd++) {
		if (fstat(fd, &status))
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		length = readlink(path, target, sizeof(target) - 1);
		target[length < 0 ? 0 : length] = '\0';
		say("fd %d %s\n", fd, target);
	}
	return 0;
}

static long show_ids(char **arguments)
{
	uid_t uid[3];
	gid_t gid[3], groups[256];
	int i, n;

	(void)arguments;
	getresuid(&uid[0], &uid[1], &uid[2]);
	getresgid(&gid[0], &gid[1], &gid[2]);
	n = getgroups(256, groups);
	say("uid %u %u %u\ngid %u %u %u\ngroups", uid[0], uid[1], uid[2], gid[0], gid[1], gid[2]);
	for (i = 0; i < n; i++)
		say(" %u", groups[i]);
	say("\n");
	return 0;
}

static long show_caps(char **arguments)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[2];
	unsigned long long bounding = 0, ambient = 0;
	int i;

	(void)arguments;
	memset(sets, 0xff, sizeof(sets));
	if (syscall(SYS_capget, &header, sets))
		return -1;
	for (i = 0; i < 64; i++) {
		if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1)
			bounding |= 1ULL << i;
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, i, 0, 0) == 1)
			ambient |= 1ULL << i;
	}
	say("effective 0x%x%08x\n", sets[1].effective, sets[0].effective);
	say("permitted 0x%x%08x\n", sets[1].permitted, sets[0].permitted);
	say("inheritable 0x%x%08x\n", sets[1].inheritable, sets[0].inheritable);
	say("bounding 0x%llx\nambient 0x%llx\n", bounding, ambient);
	say("securebits 0x%x\n", prctl(PR_GET_SECUREBITS));
	return 0;
}

static long show_modes(char **arguments)
{
	(void)arguments;
	say("seccomp %d\n", prctl(PR_GET_SECCOMP));
	say("no_new_privs %d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	say("dumpable %d\n", prctl(PR_GET_DUMPABLE));
	return 0;
}

static long show_process(char **arguments)
{
	char text[256] = "";
	int tty;

	(void)arguments;
	say("pid %d\nppid %d\nsid %d\npgid %d\n", getpid(), getppid(), getsid(0), getpgrp());
	tty = open("/dev/tty", O_RDWR | O_CLOEXEC);
	if (tty < 0)
		say("tty errno %d\n", errno);
	else
		say("tty ok\n");
	close(tty);
	say("cwd %s\n", getcwd(text, sizeof(text)) ? text : "?");
	say("umask %04o\n", umask(022));
	gethostname(text, sizeof(text));
	say("hostname %s\n", text);
	return 0;
}

/* Whom signals could reach: this works without /proc. */
static long show_pids(char **arguments)
{
	int pid;

	(void)arguments;
	say("pids");
	for (pid = 1; pid < 65536; pid++)
		if (!kill(pid, 0) || errno == EPERM)
			say(" %d", pid);
	say("\n");
	return 0;
}

static long show_environment(char **arguments)
{
	char **each;

	(void)arguments;
	for (each = environ; *each; each++)
		say("env %s\n", *each);
	return 0;
}

static long show_signals(char **arguments)
{
	struct sigaction action;
	sigset_t mask;
	int i;

	(void)arguments;
	sigprocmask(SIG_BLOCK, NULL, &mask);
	for (i = 1; i <= SIGNALS; i++) {
		if (!sigaction(i, NULL, &action) && action.sa_handler != SIG_DFL)
			say("not_default %d\n", i);
		if (sigismember(&mask, i) == 1)
			say("blocked %d\n", i);
	}
	return 0;
}

static long show_link(char **arguments)
{
	char target[256];
	ssize_t length = readlink(arguments[0], target, sizeof(target) - 1);

	if (length < 0)
		return -1;
	target[length] = '\0';
	say("link %s %s\n", arguments[0], target);
	return 0;
}

/* Whole lines, however long the file is and they are. */
static long show_file(char **arguments)
{
	int fd = open(arguments[0], O_RDONLY | O_CLOEXEC);
	bool is_open = false; /* a line, the rest of which is to come */
	ssize_t size, at, length;

	if (fd < 0)
		return -1;
	while ((size = read(fd, data, sizeof(data))) > 0)
		for (at = 0; at < size; at += length) {
			const char *end = memchr(data + at, '\n', size - at);

			length = end ? end + 1 - (data + at) : size - at;
			if (length > PIECE)
				length = PIECE;
			say("%s%.*s", is_open ? "" : "line ", (int)length, data + at);
			is_open = data[at + length - 1] != '\n';
		}
	close(fd);
	if (is_open)
		say("\n");
	return size < 0 ? -1 : 0;
}

static long show_directory(char **arguments)
{
	int fd = open(arguments[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long size, at;

	if (fd < 0)
		return -1;
	while ((size = syscall(SYS_getdents64, fd, data, sizeof(data))) > 0) {
		for (at = 0; at < size;) {
			const char *entry = data + at; /* struct linux_dirent64 */
			unsigned short length;

			memcpy(&length, entry + 16, sizeof(length));
			if (strcmp(entry + 19, ".") && strcmp(entry + 19, ".."))
				say("entry %s\n", entry + 19);
			at += length;
		}
	}
	close(fd);
	return size;
}

/* ---- files ---- */

static long try_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);

	return fd < 0 ? -1 : close(fd);
}

static long try_read(char **arguments)
{
	char byte;
	int fd = open(arguments[0], O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	return fd < 0 || read(fd, &byte, 1) < 0 || close(fd) ? -1 : 0;
}

static long try_write(char **arguments)
{
	return try_open(arguments[0], O_WRONLY);
}

/* Once it is held, who opens the file waits until its holder gives it back, or for 45 seconds. */
static long try_lease(char **arguments)
{
	int fd = open(arguments[0], O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	return fd < 0 ? -1 : fcntl(fd, F_SETLEASE, F_WRLCK);
}

/* Really write: some files can be opened by anyone. */
static long try_put(char **arguments)
{
	int fd = open(arguments[0], O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	return fd < 0 || write(fd, arguments[1], strlen(arguments[1])) < 0 || close(fd) ? -1 : 0;
}

static long try_create(char **arguments)
{
	return try_open(arguments[0], O_WRONLY | O_CREAT | O_EXCL);
}

/* Write a MiB into a new file. */
static long try_grow(char **arguments)
{
	int fd = open(arguments[0], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int i;

	for (i = 0; fd >= 0 && i < 16; i++)
		if (write(fd, data, sizeof(data)) != (ssize_t)sizeof(data))
			break;
	if (i == 16)
		return close(fd);
	if (fd >= 0 && write(fd, data, sizeof(data)) >= 0)
		errno = EIO; /* a short write tells no reason, the next one has to */
	return -1;
}

static long try_mkdir(char **arguments)
{
	return mkdir(arguments[0], 0700);
}

static long try_unlink(char **arguments)
{
	return unlink(arguments[0]);
}

static long try_rename(char **arguments)
{
	return rename(arguments[0], arguments[1]);
}

static long try_chmod(char **arguments)
{
	return chmod(arguments[0], 0777);
}

static long try_mknod(char **arguments)
{
	const char *minor_text = strchrnul(arguments[2], ':');
	const dev_t device = makedev(atoi(arguments[2]), *minor_text ? atoi(minor_text + 1) : 0);

	return mknod(arguments[0], (*arguments[1] == 'b' ? S_IFBLK : S_IFCHR) | 0600, device);
}

/* ---- mounts and roots ---- */

static long try_mount(char **arguments)
{
	return mount("probe", arguments[1], arguments[0], 0, NULL);
}

/* The options of a file system beside its type and place. */
static long try_mount_with(char **arguments)
{
	return mount("probe", arguments[2], arguments[0], 0, arguments[1]);
}

static long try_bind(char **arguments)
{
	return mount(arguments[0], arguments[1], NULL, MS_BIND, NULL);
}

static long try_remount(char **arguments)
{
	return mount(NULL, arguments[0], NULL, MS_REMOUNT | MS_BIND, NULL);
}

static long try_umount(char **arguments)
{
	return umount2(arguments[0], MNT_DETACH);
}

static long try_pivot(char **arguments)
{
	return syscall(SYS_pivot_root, arguments[0], arguments[0]);
}

static long go_up_and_open(const char *path)
{
	int i;

	for (i = 0; i < 64; i++)
		if (chdir(".."))
			return -1;
	return try_open(path + strspn(path, "/"), O_RDONLY);
}

/* Whether ".." ever leads to a root where the file of the argument is. */
static long try_dotdot(char **arguments)
{
	return go_up_and_open(arguments[0]);
}

/* The old way out of a chroot: a directory that stays open above the new root. */
static long try_chroot(char **arguments)
{
	int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || chroot("/dev") || fchdir(fd))
		return -1;
	close(fd);
	return go_up_and_open(arguments[0]);
}

static union {
	struct file_handle handle;
	char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
} file;

static long show_handle(char **arguments)
{
	unsigned int i;
	int mount_id;

	file.handle.handle_bytes = MAX_HANDLE_SZ;
	if (name_to_handle_at(AT_FDCWD, arguments[0], &file.handle, &mount_id, 0))
		return -1;
	say("handle %d:", file.handle.handle_type);
	for (i = 0; i < file.handle.handle_bytes; i++)
		say("%02x", file.handle.f_handle[i]);
	say("\n");
	return 0;
}

/* Open a handle that show_handle gave, on the file system of a path seen here. */
static long try_handle(char **arguments)
{
	int mount_fd = open(arguments[1], O_RDONLY | O_CLOEXEC);
	const char *digit = strchrnul(arguments[0], ':');
	unsigned int byte, n = 0;

	if (mount_fd < 0)
		return -1;
	while (*digit && sscanf(digit + 1, "%2x", &byte) == 1) {
		file.handle.f_handle[n++] = byte;
		digit += 2;
	}
	file.handle.handle_bytes = n;
	file.handle.handle_type = atoi(arguments[0]);
	return open_by_handle_at(mount_fd, &file.handle, O_RDONLY | O_CLOEXEC);
}

/* ---- processes, identity, namespaces ---- */

static long try_kill(char **arguments)
{
	return kill(atoi(arguments[0]), atoi(arguments[1]));
}

/* A signal that says it came from outside this PID namespace. */
static long try_forge(char **arguments)
{
	siginfo_t info = {.si_signo = atoi(arguments[1]), .si_code = SI_QUEUE};

	return syscall(SYS_rt_sigqueueinfo, atoi(arguments[0]), info.si_signo, &info);
}

static long try_ptrace(char **arguments)
{
	return ptrace(PTRACE_SEIZE, atoi(arguments[0]), NULL, NULL);
}

static long try_setuid(char **arguments)
{
	return setresuid(atoi(arguments[0]), atoi(arguments[0]), atoi(arguments[0]));
}

static long try_securebits(char **arguments)
{
	return prctl(PR_SET_SECUREBITS, strtoul(arguments[0], NULL, 0), 0, 0, 0);
}

static long try_hostname(char **arguments)
{
	return sethostname(arguments[0], strlen(arguments[0]));
}

static long try_setns(char **arguments)
{
	int fd = open(arguments[0], O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -1 : setns(fd, 0);
}

static long try_tiocsti(char **arguments)
{
	(void)arguments;
	return ioctl(0, TIOCSTI, "#");
}

/* Take the terminal on 0 for this session, by force from another. */
static long try_take_tty(char **arguments)
{
	(void)arguments;
	return ioctl(0, TIOCSCTTY, 1);
}

/* ---- network ---- */

/* Connect to an abstract socket. */
static long try_abstract(char **arguments)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const size_t size = strlen(arguments[0]);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path + 1, arguments[0], size < 100 ? size : 100);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address,
			      offsetof(struct sockaddr_un, sun_path) + 1 + size))
		return -1;
	return close(fd);
}

/* An IPv4 or IPv6 address and a port. */
static socklen_t read_address(char **arguments, struct sockaddr_in6 *address)
{
	struct sockaddr_in *old = (struct sockaddr_in *)address;

	memset(address, 0, sizeof(*address));
	if (inet_pton(AF_INET, arguments[0], &old->sin_addr) == 1) {
		old->sin_family = AF_INET;
		old->sin_port = htons(atoi(arguments[1]));
		return sizeof(*old);
	}
	inet_pton(AF_INET6, arguments[0], &address->sin6_addr);
	address->sin6_family = AF_INET6;
	address->sin6_port = htons(atoi(arguments[1]));
	return sizeof(*address);
}

static int open_socket(char **arguments, int type, struct sockaddr_in6 *address, socklen_t *size)
{
	const struct timeval limit = {.tv_sec = 2};
	const int on = 1;
	int fd;

	*size = read_address(arguments, address);
	fd = socket(address->sin6_family, type | SOCK_CLOEXEC, 0);
	if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) ||
			setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) ||
			setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on))))
		return -1;
	return fd;
}

static long try_connect(char **arguments)
{
	struct sockaddr_in6 address;
	socklen_t size;
	int fd = open_socket(arguments, SOCK_STREAM, &address, &size);

	return fd < 0 || connect(fd, (struct sockaddr *)&address, size) ? -1 : close(fd);
}

/* The connection is there until the program ends. */
static long try_connect_and_keep(char **arguments)
{
	struct sockaddr_in6 address;
	socklen_t size;
	int fd = open_socket(arguments, SOCK_STREAM, &address, &size);

	return fd < 0 ? -1 : connect(fd, (struct sockaddr *)&address, size);
}

/* A connection that the first data opens, without connect(2). */
static long try_fast_sendto(char **arguments)
{
	struct sockaddr_in6 address;
	socklen_t size;
	int fd = open_socket(arguments, SOCK_STREAM, &address, &size);

	return fd < 0 || sendto(fd, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&address, size) < 0
		       ? -1
		       : close(fd);
}

static long try_fast_sendmsg(char **arguments)
{
	struct sockaddr_in6 address;
	socklen_t size;
	int fd = open_socket(arguments, SOCK_STREAM, &address, &size);
	struct iovec piece = {.iov_base = "x", .iov_len = 1};
	struct msghdr letter = {
		.msg_name = &address, .msg_namelen = size, .msg_iov = &piece, .msg_iovlen = 1};

	return fd < 0 || sendmsg(fd, &letter, MSG_FASTOPEN) < 0 ? -1 : close(fd);
}

static long try_fast_sendmmsg(char **arguments)
{
	struct sockaddr_in6 address;
	socklen_t size;
	int fd = open_socket(arguments, SOCK_STREAM, &address, &size);
	struct iovec piece = {.iov_base = "x", .iov_len = 1};
	struct mmsghdr letter = {.msg_hdr = {.msg_name = &address,
					     .msg_namelen = size,
					     .msg_iov = &piece,
					     .msg_iovlen = 1}};

	return fd < 0 || sendmmsg(fd, &letter, 1, MSG_FASTOPEN) < 0 ? -1 : close(fd);
}

/* connect(2), which then waits for the first data */
static long try_fast_connect(char **arguments)
{
	const int option = 30, on = 1; /* TCP_FASTOPEN_CONNECT */
	struct sockaddr_in6 address;
	socklen_t size;
	int fd = open_socket(arguments, SOCK_STREAM, &address, &size);

	return fd < 0 || setsockopt(fd, IPPROTO_TCP, option, &on, sizeof(on)) ||
			       connect(fd, (struct sockaddr *)&address, size) ||
			       write(fd, "x", 1) < 0
		       ? -1
		       : close(fd);
}

/* The same with a protocol that is TCP underneath, by its number: MPTCP is 262. */
static long try_protocol(char **arguments)
{
	struct sockaddr_in6 address;
	const socklen_t size = read_address(arguments + 1, &address);
	int fd = socket(address.sin6_family, SOCK_STREAM | SOCK_CLOEXEC, atoi(arguments[0]));

	return fd < 0 || connect(fd, (struct sockaddr *)&address, size) ? -1 : close(fd);
}

/* No bind(2): the kernel chooses the port. */
static long try_listen_anywhere(char **arguments)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)arguments;
	return fd < 0 || listen(fd, 8) ? -1 : close(fd);
}

/* The socket stays: others can connect while the probe runs. */
static long try_listen(char **arguments)
{
	struct sockaddr_in6 address;
	socklen_t size;
	int fd = open_socket(arguments, SOCK_STREAM, &address, &size);

	return fd < 0 || bind(fd, (struct sockaddr *)&address, size) ? -1 : listen(fd, 8);
}

static long try_send(char **arguments)
{
	struct sockaddr_in6 address;
	socklen_t size;
	int fd = open_socket(arguments, SOCK_DGRAM, &address, &size);

	if (fd < 0 || sendto(fd, "probe", 5, 0, (struct sockaddr *)&address, size) != 5)
		return -1;
	return close(fd);
}

/* A socket that sends and sees packets as they are on the wire. */
static long try_packet(char **arguments)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	(void)arguments;
	return fd < 0 ? -1 : close(fd);
}

/* ---- system calls ---- */

static long try_i386_call(char **arguments)
{
	long result;

	(void)arguments;
#if defined(__x86_64__)
	/* getpid by its i386 number; the entry clobbers r8 to r11 on old kernels */
	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(20L)
			 : "r8", "r9", "r10", "r11", "memory");
#else
	result = -ENOSYS;
#endif
	if (result < 0) {
		errno = -result;
		return -1;
	}
	return result;
}

#if defined(__i386__)
/* getpid(2) by its x86-64 number; a far return there pops what a far call here has pushed */
__asm__(".text\n"
	".type in_64_bit_code, @function\n"
	"in_64_bit_code: .byte 0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xcb\n");
extern char in_64_bit_code[] __attribute__((visibility("hidden")));
#endif

/* A system call of x86-64 from an i386 program, through the segment that the kernel has for 64-bit code. */
static long try_x86_64_call(char **arguments)
{
	long result = -ENOSYS;

	(void)arguments;
#if defined(__i386__)
	const struct __attribute__((packed)) {
		char *offset;
		unsigned short segment;
	} far = {in_64_bit_code, 0x33};

	__asm__ volatile("lcall *%1" : "=a"(result) : "m"(far) : "ecx", "edx", "memory");
#endif
	if (result < 0) {
		errno = -result;
		return -1;
	}
	return result;
}

static long try_x32_call(char **arguments)
{
	(void)arguments;
	return syscall(0x40000000L + SYS_getpid);
}

#define CALL(name)                                                                                 \
	{                                                                                          \
#name, SYS_##name                                                                  \
	}

static const struct {
	const char *name;
	long number;
} calls[] = {
	CALL(add_key),       CALL(bpf),         CALL(chroot),      CALL(clone),
	CALL(delete_module), CALL(execve),      CALL(execveat),    CALL(getpid),
	CALL(getppid),       CALL(init_module), CALL(keyctl),      CALL(mount),
	CALL(mprotect),      CALL(prctl),       CALL(reboot),      CALL(perf_event_open),
	CALL(ptrace),        CALL(request_key), CALL(sched_yield), CALL(setns),
	CALL(settimeofday),  CALL(swapon),      CALL(sync),        CALL(syslog),
	CALL(unshare),
#ifdef SYS_ioperm
	CALL(ioperm),        CALL(iopl),
#endif
};

/* A system call by name or number; the second argument is up to six numbers with commas, or "-". */
static long try_call(char **arguments)
{
	long number = strtol(arguments[0], NULL, 0), values[6] = {0};
	char *at = arguments[1];
	unsigned int i;

	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (!strcmp(arguments[0], calls[i].name))
			number = calls[i].number;
	for (i = 0; i < 6 && *at && *at != '-'; i++) {
		values[i] = strtoul(at, &at, 0);
		at += *at == ',';
	}
	return syscall(number, values[0], values[1], values[2], values[3], values[4], values[5]);
}

/* ---- behaviour ---- */

static int run(int argc, char **argv);

static long do_exec(char **arguments)
{
	return execve(arguments[0], arguments, environ);
}

static long do_spawn(char **arguments)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return -1;
	if (!pid) {
		execve(arguments[0], arguments, environ);
		_exit(errno);
	}
	waitpid(pid, &status, 0);
	say("spawned %d\n", WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
	return 0;
}

/* A child by clone(2) with these flags, which ends at once. */
static long do_spawn_with(char **arguments)
{
	long pid = syscall(SYS_clone, strtoul(arguments[0], NULL, 0), 0UL, 0UL, 0UL, 0UL);

	if (pid < 0)
		return -1;
	if (!pid)
		_exit(0);
	return waitpid(pid, NULL, 0) == pid ? 0 : -1;
}

/* One system call, again and again. */
static long do_flood(char **arguments)
{
	char *one[] = {arguments[0], "-"};
	long i, n = strtol(arguments[1], NULL, 0), failed = 0;

	for (i = 0; i < n; i++)
		failed += try_call(one) < 0;
	say("failed %ld\n", failed);
	return 0;
}

/* What is left, in a child. */
static long do_fork(char **arguments)
{
	int n = 0, status;
	pid_t pid = fork();

	if (pid < 0)
		return -1;
	while (arguments[n])
		n++;
	if (!pid)
		_exit(run(n, arguments));
	waitpid(pid, &status, 0);
	say("forked %d\n", WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
	return 0;
}

/* Use that many MiB of memory. */
static long do_fill(char **arguments)
{
	const size_t size = strtoul(arguments[0], NULL, 0) << 20;
	char *memory = malloc(size);

	if (!memory)
		return -1;
	memset(memory, 1, size);
	return memory[size - 1] == 1 ? 0 : -1;
}

/* As many children as may be, N at most, which stay; the error is that of the fork that failed. */
static long do_bomb(char **arguments)
{
	const int most = atoi(arguments[0]);
	int n = 0, error;
	pid_t pid = 0;

	while (n < most && (pid = fork()) > 0)
		n++;
	error = errno;
	if (!pid && n < most)
		for (;;)
			pause();
	say("children %d\n", n);
	errno = error;
	return n < most ? -1 : 0;
}

static long do_comm(char **arguments)
{
	return prctl(PR_SET_NAME, arguments[0]);
}

/* The name says where in memory the text is: what attack/watcher.py looks for. */
static long do_mark(char **arguments)
{
	char name[16];

	snprintf(name, sizeof(name), "L%lx", (unsigned long)arguments[0]);
	return prctl(PR_SET_NAME, name);
}

/* Exchange two names N times, or for N = 0 until the end of 0; say how often. */
static long do_exchange(char **arguments)
{
	const unsigned long most = strtoul(arguments[2], NULL, 0);
	struct pollfd end = {.events = POLLIN};
	unsigned long n;

	if (!most)
		say("ready\n");
	for (n = 0; !most || n < most; n++) {
		if (syscall(SYS_renameat2, AT_FDCWD, arguments[0], AT_FDCWD, arguments[1], 2))
			break; /* 2 is RENAME_EXCHANGE */
		if (!most && poll(&end, 1, 0) > 0)
			break;
	}
	say("exchange %lu\n", n);
	return 0;
}

/* What the kernel puts before the verbs of a script: "script" and the script's path. */
static long do_nothing(char **arguments)
{
	(void)arguments;
	return 0;
}

static long do_exit(char **arguments)
{
	_exit(atoi(arguments[0]));
}

static long do_die(char **arguments)
{
	return raise(atoi(arguments[0]));
}

static long do_hold(char **arguments)
{
	(void)arguments;
	say("ready\n");
	while (pause())
		;
	return 0;
}

/* Stay until the other end of 0 is closed. */
static long do_stay(char **arguments)
{
	char byte;

	(void)arguments;
	say("ready\n");
	while (read(0, &byte, 1) > 0)
		;
	return 0;
}

static long do_ignore(char **arguments)
{
	return signal(atoi(arguments[0]), SIG_IGN) == SIG_ERR ? -1 : 0;
}

/* Take signals and name each, until SIGTERM. */
static long do_name_signals(char **arguments)
{
	sigset_t all;
	int signal = 0;

	(void)arguments;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	say("ready\n");
	while (signal != SIGTERM && (signal = sigwaitinfo(&all, NULL)) > 0)
		say("signal %d\n", signal);
	return 0;
}

/* A process that left the session and its parent, and that ignores TERM. */
static long do_daemon(char **arguments)
{
	int ends[2];
	char byte;
	pid_t pid;

	(void)arguments;
	if (pipe(ends))
		return -1;
	pid = fork();
	if (!pid) {
		setsid();
		if (fork())
			_exit(0);
		signal(SIGTERM, SIG_IGN);
		say("daemon %d\n", getpid());
		close(0);
		close(1);
		close(2);
		close(ends[0]);
		if (write(ends[1], "", 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	waitpid(pid, NULL, 0);
	return read(ends[0], &byte, 1) == 1 ? 0 : -1;
}

/* One each millisecond, by a process beside this one, until the jail ends. */
static long do_make_orphans(char **arguments)
{
	const struct timespec pause_between = {0, 1000000};
	pid_t pid = fork();

	(void)arguments;
	while (!pid) {
		pid_t child = fork();

		if (!child) {
			if (fork() >= 0)
				_exit(0);
			_exit(1);
		}
		waitpid(child, NULL, 0);
		nanosleep(&pause_between, NULL);
	}
	return pid < 0 ? -1 : 0;
}

/* Orphans that end: a zombie still takes signals, a reaped one is gone. */
static long do_orphans(char **arguments)
{
	const struct timespec pause_between = {0, 1000000};
	int n = atoi(arguments[0]), i, tries, gone = 0, ends[2];
	pid_t pid, orphans[64];

	for (i = 0; i < n && i < 64; i++) {
		if (pipe(ends))
			return -1;
		pid = fork();
		if (!pid) {
			pid = fork();
			if (pid && write(ends[1], &pid, sizeof(pid)) != sizeof(pid))
				_exit(1);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
		if (read(ends[0], &orphans[i], sizeof(pid)) != sizeof(pid))
			return -1;
		close(ends[0]);
		close(ends[1]);
	}
	/* its reaper is told by a signal, so this takes a moment: at most two seconds each */
	for (i = 0; i < n && i < 64; i++) {
		for (tries = 0; tries < 2000 && !kill(orphans[i], 0); tries++)
			nanosleep(&pause_between, NULL);
		gone += kill(orphans[i], 0) && errno == ESRCH;
	}
	say("reaped %d\n", gone);
	return 0;
}

/* The session keyring's id; 1: made if there is none, 0: the user's own then. */
static long show_keyring(char **arguments)
{
	long id = syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);

	(void)arguments;
	if (id < 0)
		return -1;
	say("keyring %ld\n", id);
	return 0;
}

static long do_join_keyring(char **arguments)
{
	(void)arguments;
	return syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
}

static long do_add_key(char **arguments)
{
	return syscall(SYS_add_key, "user", arguments[0], "x", 1, KEY_SPEC_SESSION_KEYRING);
}

static long try_find_key(char **arguments)
{
	return syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user", arguments[0],
		       0);
}

static long show_ioprio(char **arguments)
{
	(void)arguments;
	say("ioprio %ld\n", syscall(SYS_ioprio_get, 1, 0)); /* IOPRIO_WHO_PROCESS */
	return 0;
}

/* What a socket is bound to that nobody has bound. */
static long show_device(char **arguments)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char name[16] = ""; /* IFNAMSIZ */
	socklen_t size = sizeof(name);

	(void)arguments;
	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &size))
		return -1;
	say("device %s\n", size && *name ? name : "none");
	return close(fd);
}

static long show_nice(char **arguments)
{
	(void)arguments;
	say("nice %d\n", getpriority(PRIO_PROCESS, 0));
	return 0;
}

static const struct verb {
	const char *name;
	int arguments;
	enum { FACT, TRY } kind;
	long (*run)(char **arguments);
} verbs[] = {
	{"fds", 0, FACT, show_fds},
	{"nice", 0, FACT, show_nice},
	{"device", 0, FACT, show_device},
	{"ioprio", 0, FACT, show_ioprio},
	{"keyring", 0, FACT, show_keyring},
	{"join-keyring", 0, FACT, do_join_keyring},
	{"add-key", 1, FACT, do_add_key},
	{"find-key", 1, TRY, try_find_key},
	{"ids", 0, FACT, show_ids},
	{"caps", 0, FACT, show_caps},
	{"modes", 0, FACT, show_modes},
	{"process", 0, FACT, show_process},
	{"pids", 0, FACT, show_pids},
	{"env", 0, FACT, show_environment},
	{"signals", 0, FACT, show_signals},
	{"cat", 1, FACT, show_file},
	{"link", 1, FACT, show_link},
	{"list", 1, FACT, show_directory},
	{"handle", 1, FACT, show_handle},
	{"read", 1, TRY, try_read},
	{"write", 1, TRY, try_write},
	{"put", 2, TRY, try_put},
	{"lease", 1, TRY, try_lease},
	{"create", 1, TRY, try_create},
	{"grow", 1, TRY, try_grow},
	{"mkdir", 1, TRY, try_mkdir},
	{"unlink", 1, TRY, try_unlink},
	{"chmod", 1, TRY, try_chmod},
	{"rename", 2, TRY, try_rename},
	{"mknod", 3, TRY, try_mknod},
	{"mount", 2, TRY, try_mount},
	{"mount-with", 3, TRY, try_mount_with},
	{"bind", 2, TRY, try_bind},
	{"remount", 1, TRY, try_remount},
	{"umount", 1, TRY, try_umount},
	{"pivot", 1, TRY, try_pivot},
	{"dotdot", 1, TRY, try_dotdot},
	{"chroot", 1, TRY, try_chroot},
	{"by-handle", 2, TRY, try_handle},
	{"kill", 2, TRY, try_kill},
	{"forge", 2, TRY, try_forge},
	{"ptrace", 1, TRY, try_ptrace},
	{"setuid", 1, TRY, try_setuid},
	{"securebits", 1, TRY, try_securebits},
	{"sethostname", 1, TRY, try_hostname},
	{"setns", 1, TRY, try_setns},
	{"tiocsti", 0, TRY, try_tiocsti},
	{"take-tty", 0, TRY, try_take_tty},
	{"abstract", 1, TRY, try_abstract},
	{"connect", 2, TRY, try_connect},
	{"connect-and-keep", 2, TRY, try_connect_and_keep},
	{"listen", 2, TRY, try_listen},
	{"listen-anywhere", 0, TRY, try_listen_anywhere},
	{"fast-sendto", 2, TRY, try_fast_sendto},
	{"fast-sendmsg", 2, TRY, try_fast_sendmsg},
	{"fast-sendmmsg", 2, TRY, try_fast_sendmmsg},
	{"fast-connect", 2, TRY, try_fast_connect},
	{"protocol", 3, TRY, try_protocol},
	{"send", 2, TRY, try_send},
	{"packet", 0, TRY, try_packet},
	{"int80", 0, TRY, try_i386_call},
	{"far64", 0, TRY, try_x86_64_call},
	{"x32", 0, TRY, try_x32_call},
	{"call", 2, TRY, try_call},
	{"exec", REST, TRY, do_exec},
	{"spawn", REST, TRY, do_spawn},
	{"spawn-with", 1, TRY, do_spawn_with},
	{"script", 1, FACT, do_nothing},
	{"exit", 1, FACT, do_exit},
	{"fill", 1, TRY, do_fill},
	{"bomb", 1, TRY, do_bomb},
	{"comm", 1, FACT, do_comm},
	{"mark", 1, FACT, do_mark},
	{"exchange", 3, FACT, do_exchange},
	{"die", 1, TRY, do_die},
	{"hold", 0, FACT, do_hold},
	{"stay", 0, FACT, do_stay},
	{"ignore", 1, TRY, do_ignore},
	{"name-signals", 0, FACT, do_name_signals},
	{"daemon", 0, FACT, do_daemon},
	{"orphans", 1, FACT, do_orphans},
	{"make-orphans", 0, TRY, do_make_orphans},
	{"flood", 2, FACT, do_flood},
	{"fork", REST, FACT, do_fork},
};

static const struct verb *find_verb(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (!strcmp(name, verbs[i].name))
			return &verbs[i];
	return NULL;
}

static int run(int argc, char **argv)
{
	int at = 0;

	while (at < argc) {
		const struct verb *verb = find_verb(argv[at]);
		const char *colon, *argument;
		long result;

		if (!verb ||
		    (verb->arguments == REST ? argc - at < 2 : argc - at <= verb->arguments)) {
			dprintf(2, "probe: bad verb %s\n", argv[at]);
			return 99;
		}
		colon = verb->arguments ? ":" : "";
		argument = verb->arguments ? argv[at + 1] : "";
		result = verb->run(argv + at + 1);
		if (result < 0)
			say("%s%s%s errno %d\n", verb->name, colon, argument, errno);
		else if (verb->kind == TRY)
			say("%s%s%s ok\n", verb->name, colon, argument);
		at += 1 + (verb->arguments == REST ? argc : verb->arguments);
	}
	return 0;
}

int main(int argc, char **argv)
{
	return argc ? run(argc - 1, argv + 1) : 99;
}
