/* SPDX-License-Identifier: MIT */
/*
 * The bench's service: writes the clock at the start of its main, 8 bytes, to stdout or to the file of its first
 * argument, and ends; with a second argument it stays.
 */
#include <fcntl.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct timespec now;
	uint64_t now_ns;
	int fd = 1;

	clock_gettime(CLOCK_MONOTONIC, &now);
	now_ns = now.tv_sec * 1000000000ULL + now.tv_nsec;
	if (argc > 1)
		fd = open(argv[1], O_WRONLY);
	if (fd < 0 || write(fd, &now_ns, sizeof(now_ns)) != sizeof(now_ns))
		_exit(1);
	while (argc > 2)
		sleep(1000);
	_exit(0);
}
