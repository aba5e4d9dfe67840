/* SPDX-License-Identifier: MIT */
/*
 * What Python may call beside the policy compiler. This file is also cffi's cdef:
 * plain declarations, one a line, and constants that the target's headers define.
 */
#ifndef STOCKADE_NATIVE_H
#define STOCKADE_NATIVE_H

#endif
