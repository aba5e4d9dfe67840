/* SPDX-License-Identifier: MIT */
/*
 * What is installed as each command in the table below: starts the interpreter of its prefix,
 * isolated and without site, which takes two thirds of its start-up time, and has it run the
 * command of the name that it was called by, else of its own.
 * A program and not a script, because pip's scripts know only one interpreter and no options, and
 * a shell in between costs a millisecond.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#define EXIT_OURS 125
#define EXIT_NOT_FOUND 127

static const struct command {
	const char *name, *module; /* the module has a main(argv) */
	const char *bin; /* from the command's directory to that of the interpreter */
} commands[] = {
	{"ujail", "jail.ujail", ""},
	{"utrace", "jail.utrace", ""},
	{"jailctl", "jail.jailctl", ""},
	{"initd", "initd.main", ""},
	{"init", "initd.main", ""}, /* a firmware's link to initd */
	{"ubus", "initd.ubus.command", "../../bin/"}, /* libexec/stockade/ubus */
};

/* Where the modules are, as seen from the interpreter: pip's places and Debian's. Without the cffi
 * run time in one of them, site has to find it. */
static const char bootstrap[] =
	"import gc, posix, sys\n" /* `os` takes a tenth of the start of a command that needs none */
	"gc.disable()\n" /* most processes end, or exec, before they have made any garbage */
	"lib, module = sys.argv[1] + '../lib/', sys.argv[2]\n"
	"del sys.argv[:3]\n"
	"release = 'python%d.%d/' % sys.version_info[:2]\n"
	"for name in (release + 'site-packages', release + 'dist-packages', "
	"'python3/dist-packages'):\n"
	"    if posix.access(lib + name, posix.F_OK):\n"
	"        sys.path.insert(0, lib + name)\n" /* first: the large standard library is not listed */
	"if not sys.meta_path[-1].find_spec('_cffi_backend'):\n" /* the path's; not loaded: not all need it */
	"    import site\n"
	"    site.main()\n"
	"    if not sys.meta_path[-1].find_spec('_cffi_backend'):\n"
	"        python = sys.executable or 'python3'\n"
	"        line = sys.argv[0] + ': ' + python + ' has no cffi run time (Debian: "
	"python3-cffi-backend, OpenWrt: python3-cffi)\\n'\n"
	"        posix.write(2, line.encode('utf-8', 'surrogateescape'))\n"
	"        sys.exit(125)\n"
	"from jail import finder\n"
	"finder.install()\n"
	"status = __import__(module, fromlist=['main']).main(sys.argv)\n"
	"try:\n"
	"    for stream in sys.stdout, sys.stderr:\n"
	"        print(end='', file=stream, flush=True)\n"
	"except OSError as error:\n"
	"    status = 125\n"
	"    posix.write(2, ('output is lost: %s\\n' % error.strerror).encode())\n"
	"posix._exit(status)\n"; /* to take all modules apart takes half as long as to make them */

/* The part of a path that names its directory, with the slash. */
static size_t folder_length(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 - path : 0;
}

/* Without /proc, as before process 1 has mounted it: where the name leads that we were called by. One
 * from the PATH says nothing: a file of that name in the working directory is somebody else's. */
static void own_path(char path[PATH_MAX], const char *called)
{
	ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 1);

	if (length >= 0)
		path[length] = '\0';
	else if (!strchr(called, '/') || !realpath(called, path))
		path[0] = '\0';
}

static const struct command *find_command(const char *path)
{
	const char *name = path + folder_length(path);
	size_t i;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(name, commands[i].name))
			return &commands[i];
	return NULL;
}

/*
 * Else the next file that is opened becomes somebody's standard output. A directory there would be a way
 * out of the jail that gets it.
 */
static int fill_stdio(void)
{
	struct stat status;
	int fd;

	for (fd = 0; fd < 3; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			return -1;
		if (fstat(fd, &status) || S_ISDIR(status.st_mode))
			return -1;
	}
	return 0;
}

/* What a setuid program is rid of, too: the caller does not make addresses known or data executable. */
static int forget_layout(void)
{
	const int weak =
		ADDR_NO_RANDOMIZE | ADDR_COMPAT_LAYOUT | MMAP_PAGE_ZERO | READ_IMPLIES_EXEC;
	const int persona = personality(0xffffffff);

	if (persona < 0 || !(persona & weak))
		return 0;
	return personality(persona & ~weak) < 0 ? -1 : 0;
}

/* One line on stderr, if anybody reads it. */
static int fail(const char *self, const char *reason, int status)
{
	if (write(2, self, strlen(self)) < 0 || write(2, reason, strlen(reason)) < 0)
		return status;
	return status;
}

/*
 * posix_spawn(3) of glibc, with which make starts everything, leaves signals of its own ignored in
 * the child. Neither Python nor sigaction(3) can undo that, and it would go on to every script.
 */
static void heed_signals(void)
{
	const unsigned long zero[16] = {
		0}; /* the default, in the kernel's struct of any architecture */
	int number;

	for (number = 32; number < 35; number++)
		syscall(SYS_rt_sigaction, number, zero, NULL, _NSIG / 8);
}

int main(int argc, char **argv)
{
	const char name[] = "python3", usual[] = "/usr/bin/";
	char self[PATH_MAX], bin[PATH_MAX + 16], python[sizeof(bin) + sizeof(name)];
	char **args = calloc(argc + 8, sizeof(*args));
	const struct command *command;
	size_t folder;

	heed_signals();
	/* process 1 may have no descriptors and no /dev yet, and makes both itself */
	if (!args || argc < 1)
		return EXIT_OURS;
	if (fill_stdio() && getpid() != 1)
		return fail(argv[0], ": 0, 1 or 2 is a directory, or closed\n", EXIT_OURS);
	if (forget_layout())
		return fail(argv[0], ": the weak layout of memory cannot be undone\n", EXIT_OURS);
	own_path(self, argv[0]);
	command = find_command(argv[0]);
	if (!command)
		command = find_command(self);
	if (!command)
		return fail(self, ": is the start of no command of that name\n", EXIT_OURS);
	folder = folder_length(self);
	memcpy(bin, folder ? self : usual, folder ? folder : sizeof(usual));
	if (folder)
		memcpy(bin + folder, command->bin, strlen(command->bin) + 1);
	args[0] = python;
	/* names are UTF-8 in every locale, whose converters are not asked then */
	args[1] = "-ISXutf8";
	args[2] = "-c";
	args[3] = (char *)bootstrap;
	args[4] = bin;
	args[5] = (char *)command->module;
	args[6] = self;
	memcpy(args + 7, argv + 1, argc * sizeof(*argv)); /* and the NULL at the end */
	folder = strlen(bin);
	memcpy(python, bin, folder);
	memcpy(python + folder, name, sizeof(name));
	execv(python, args);
	memcpy(python, usual, sizeof(usual) - 1);
	memcpy(python + sizeof(usual) - 1, name, sizeof(name));
	execv(python, args);
	return fail(self, ": no python3 beside this program nor in /usr/bin\n", EXIT_NOT_FOUND);
}
