/* SPDX-License-Identifier: MIT */
/* What the files of the shim share. */
#ifndef STOCKADE_SHIM_H
#define STOCKADE_SHIM_H

#include "policy.h"

#ifndef SHIM_NAME /* setup.py says it: there may be one for each ABI */
#define SHIM_NAME "libpreload-seccomp.so"
#endif

/* shim_words.c */
void say(const char *text);
void say_number(unsigned long number);

/* One line, then the program ends. refuse_errno() adds why the last call failed. */
void refuse(const char *what, const char *why) __attribute__((noreturn));
void refuse_errno(const char *what) __attribute__((noreturn));
void refuse_policy(const char *path, const struct policy_result *result) __attribute__((noreturn));

/* shim_environment.c: the value of a variable, or NULL. */
char *find_variable(char **envp, const char *name);

/* Take out what is the shim's: its variables, and its own entries of LD_PRELOAD. */
void clean_environment(char **envp);

#endif
