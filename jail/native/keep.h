/* SPDX-License-Identifier: MIT */
/* The third job of ujail-init. */
#ifndef STOCKADE_KEEP_H
#define STOCKADE_KEEP_H

int run_keep(char **argv);

#endif
