/* SPDX-License-Identifier: MIT */
/*
 * How the shim tells the tracer that main begins, and the supervisor that there is a listener:
 * prctl options that no kernel has. The tracing filter (jail/native/trace_filter.c) itself fails
 * the question with an errno that prctl never gives, so only who is under that filter is
 * believed; the mark stops for the tracer and then fails as any unknown option does.
 */
#ifndef STOCKADE_MARK_H
#define STOCKADE_MARK_H

#include <errno.h>

#define MARK_QUESTION 0x53746f51 /* "StoQ" */
#define MARK_ANSWER ENOTUNIQ
#define MARK_MAIN 0x53746f4d /* "StoM" */
#define MARK_LISTENER 0x53746f4c /* "StoL": waits until the supervisor has the listener */

#endif
