/* SPDX-License-Identifier: MIT */
/* What keeps the stub that is PID 1 from being taken over. */
#ifndef STOCKADE_CONFINE_H
#define STOCKADE_CONFINE_H

/* A descriptor that PID 1 closes once nobody with its ids can trace it or open its memory */
#define STUB_HELD_FD 3

/*
 * Allow what the loops of init.c need and nothing else, ever again. Without seccomp in the kernel: no
 * filter. Returns 0, or -1 with errno.
 */
int confine(void);

#endif
