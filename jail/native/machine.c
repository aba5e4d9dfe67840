/* SPDX-License-Identifier: MIT */
/* The calls of process 1 that Python has no words for. Each returns 0 or -errno. */
#include <errno.h>
#include <sys/mount.h>
#include <sys/reboot.h>

#include "kernel.h"

int mount_host(const char *source, const char *target, const char *type, unsigned long flags,
	       const char *options)
{
	return mount(source, target, type, flags, options) ? -errno : 0;
}

int unmount_host(const char *target, int flags)
{
	return umount2(target, flags) ? -errno : 0;
}

int end_machine(unsigned int how)
{
	return reboot((int)how) ? -errno : 0;
}
