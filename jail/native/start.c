/* SPDX-License-Identifier: MIT */
/*
 * What is installed as `ujail`: starts the interpreter that lies beside it, isolated and without
 * site, which takes two thirds of its start-up time, and has it run the command of its own name.
 * A program and not a script, because pip's scripts know only one interpreter and no options, and
 * a shell in between costs a millisecond.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define MAX_PATH 4096
#define EXIT_OURS 125
#define EXIT_NOT_FOUND 127

/* Where the modules are, as seen from the commands: pip's places and Debian's. Without the cffi
 * run time in one of them, site has to find it. */
static const char bootstrap[] =
	"import gc, os, sys\n"
	"gc.disable()\n" /* the process ends in an exec before it has made any garbage */
	"del sys.argv[0]\n"
	"lib = os.path.dirname(sys.argv[0]) + '/../lib/'\n"
	"release = 'python%d.%d/' % sys.version_info[:2]\n"
	"for name in (release + 'site-packages', release + 'dist-packages', "
	"'python3/dist-packages'):\n"
	"    if os.path.isdir(lib + name):\n"
	"        sys.path.insert(0, lib + name)\n" /* first: the large standard library is not listed */
	"try:\n"
	"    import _cffi_backend\n"
	"except ImportError:\n"
	"    import site\n"
	"    site.main()\n"
	"from jail.ujail import main\n"
	"sys.exit(main(sys.argv))\n";

/* Without /proc the name that we were called by has to do. */
static size_t own_path(char path[MAX_PATH], const char *called)
{
	ssize_t length = readlink("/proc/self/exe", path, MAX_PATH - 1);

	if (length < 0) {
		length = strnlen(called, MAX_PATH - 1);
		memcpy(path, called, length);
	}
	path[length] = '\0';
	return length;
}

/* Else the next file that is opened becomes somebody's standard output. */
static int fill_stdio(void)
{
	int fd;

	for (fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			return -1;
	return 0;
}

int main(int argc, char **argv)
{
	const char name[] = "python3", fallback[] = "/usr/bin/python3";
	const char failed[] = ": no python3 beside this program nor in /usr/bin\n";
	char self[MAX_PATH], python[MAX_PATH + sizeof(name)];
	char **args = calloc(argc + 6, sizeof(*args));
	const size_t length = own_path(self, argc > 0 ? argv[0] : "");
	const char *slash = strrchr(self, '/');
	const size_t folder = slash ? slash + 1 - self : 0;

	if (!args || argc < 1 || fill_stdio())
		return EXIT_OURS;
	args[0] = python;
	args[1] = "-IS";
	args[2] = "-c";
	args[3] = (char *)bootstrap;
	args[4] = self;
	memcpy(args + 5, argv + 1, argc * sizeof(*argv)); /* and the NULL at the end */
	memcpy(python, self, folder);
	memcpy(python + folder, name, sizeof(name));
	if (folder)
		execv(python, args);
	memcpy(python, fallback, sizeof(fallback));
	execv(python, args);
	if (write(2, self, length) < 0 || write(2, failed, sizeof(failed) - 1) < 0)
		return EXIT_NOT_FOUND; /* nobody listens */
	return EXIT_NOT_FOUND;
}
