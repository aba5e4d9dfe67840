/* SPDX-License-Identifier: MIT */
/* The filter of the stub that is PID 1. */
#ifndef STOCKADE_CONFINE_H
#define STOCKADE_CONFINE_H

/*
 * Allow what the loops of init.c need and nothing else, ever again. Without seccomp in the kernel: no
 * filter. Returns 0, or -1 with errno.
 */
int confine(void);

#endif
