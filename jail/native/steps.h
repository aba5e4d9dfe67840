/* SPDX-License-Identifier: MIT */
/* What the launcher's files share: the decoded plan and the state that parent and children see. */
#ifndef STOCKADE_STEPS_H
#define STOCKADE_STEPS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "launch.h"
#include "plan.h"

struct step {
	uint32_t op;
	uint64_t a[4];
	const char *s[2]; /* each followed by a NUL that len does not count */
	uint32_t len[2];
	char **argv, **envp; /* STEP_EXEC, STEP_EXEC_STUB */
	char *code; /* STEP_FILTER: the filter with the real pointers in it */
	int fd; /* STEP_BIND, STEP_EXEC_STUB: the source or program, once opened */
};

/* The place where the new root is put together. Every root file system has it; nothing is written there. */
#define NEW_ROOT "/tmp"

/* How far a process came, so that a death without a word is told from a start */
enum progress { PROGRESS_NONE, PROGRESS_EXEC };

/*
 * Shared by the parent and both children: with CLONE_VM plainly, and mapped shared where a
 * copying clone is meant, see into_group.c.
 */
struct launch_state {
	struct step *steps;
	unsigned int n_steps;
	const struct launch_request *request;
	unsigned int stub_exec; /* index of STEP_EXEC_STUB, 0: none; the service's come after it */
	bool modern; /* open_tree, move_mount, mount_setattr and openat2 are there */
	bool isolated; /* there is a mount namespace */
	bool layered; /* the new root is an overlay: not every entry in it is ours */
	bool entered; /* children are in another PID namespace than the first process */
	bool in_group; /* the first process was born in its control group */
	bool sealed; /* the stub has its read-only mount */
	int root_fd; /* the new root */
	int lower_fd, upper_fd, work_fd; /* layers of it, or -1 */
	int proc_fd; /* the host's /proc */
	int life_fd; /* the service's go from the parent; end-of-file once that is gone */
	int life_write_fd;
	int held_fd; /* end-of-file once PID 1 is the stub and nobody in the jail can take it over */
	int held_write_fd; /* which the stub has as STUB_HELD_FD until then, or -1: there is no stub */
	int ready_fd; /* a traced service tells the parent that it can be attached to */
	int outer_fd, inner_fd; /* user namespace: the two ends between PID 1 and its maker */
	unsigned long outer_namespaces; /* of the first child */
	unsigned int inside; /* index of the first step in it */
	int console_fd; /* the jail's terminal */
	int listener_fd; /* the parent's copy of door 1's, or -1 */
	bool asks; /* there is a filter with a listener */
	int rules_fd; /* Landlock's, in the service's process */
	pid_t first_pid; /* PID 1 as it sees itself */
	char pid_text[12]; /* the same in digits, the stub's last argument */
	char *service_stack, *inside_stack;

	/* written by the children, read by the parent */
	volatile int step, error;
	volatile int service_pid;
	volatile int first_child; /* user namespace: PID 1, as its maker and the parent see it */
	volatile int inside_pid; /* the same as /proc has it */
	volatile int current; /* index of the step under way */
	volatile enum progress stub, service;
	volatile int asks_by; /* 1 + the number of the service's listener: it waits for an answer */
};

/* Fill state->steps from a packed plan, which has to stay. Returns 0 or -errno; free_steps() in any case. */
int decode_plan(const unsigned char *plan, size_t size, struct launch_state *state);
void free_steps(struct launch_state *state);

/* step_table.c: the function for its number. decode_plan() lets no other number through. */
int run_step(struct launch_state *state, struct step *step);

/* Each returns 0 or -errno. They run between clone and exec: no allocation, no locks, no stdio. */
int step_private(struct launch_state *state, struct step *step);
int step_root(struct launch_state *state, struct step *step);
int step_dir(struct launch_state *state, struct step *step);
int step_file(struct launch_state *state, struct step *step);
int step_symlink(struct launch_state *state, struct step *step);
int step_node(struct launch_state *state, struct step *step);
int step_mount(struct launch_state *state, struct step *step);
int step_bind(struct launch_state *state, struct step *step);
int step_rebind(struct launch_state *state, struct step *step);
int step_unlink(struct launch_state *state, struct step *step);
int step_hostname(struct launch_state *state, struct step *step);
int step_pivot(struct launch_state *state, struct step *step);
int step_read_only(struct launch_state *state, struct step *step);
int step_bounding(struct launch_state *state, struct step *step);
int step_session(struct launch_state *state, struct step *step);
int step_umask(struct launch_state *state, struct step *step);
int step_stdio_null(struct launch_state *state, struct step *step);
int step_close(struct launch_state *state, struct step *step);
int step_chdir(struct launch_state *state, struct step *step);
int step_securebits(struct launch_state *state, struct step *step);
int step_groups(struct launch_state *state, struct step *step);
int step_gid(struct launch_state *state, struct step *step);
int step_uid(struct launch_state *state, struct step *step);
int step_capabilities(struct launch_state *state, struct step *step);
int step_ambient(struct launch_state *state, struct step *step);
int step_die_with_parent(struct launch_state *state, struct step *step);
int step_no_new_privs(struct launch_state *state, struct step *step);
int step_filter(struct launch_state *state, struct step *step);
int step_signals(struct launch_state *state, struct step *step);
int step_exec(struct launch_state *state, struct step *step);
int step_exec_stub(struct launch_state *state, struct step *step);
int step_open(struct launch_state *state, struct step *step);
int step_stdio(struct launch_state *state, struct step *step);
int step_nice(struct launch_state *state, struct step *step);
int step_rlimit(struct launch_state *state, struct step *step);
int step_cgroup(struct launch_state *state, struct step *step);
int step_setns(struct launch_state *state, struct step *step);
int step_lower(struct launch_state *state, struct step *step);
int step_upper(struct launch_state *state, struct step *step);
int step_upper_memory(struct launch_state *state, struct step *step);
int step_overlay(struct launch_state *state, struct step *step);
int step_loopback(struct launch_state *state, struct step *step);
int step_network(struct launch_state *state, struct step *step);
int step_ports(struct launch_state *state, struct step *step);
int step_write_proc(struct launch_state *state, struct step *step);
int step_own(struct launch_state *state, struct step *step);
int step_cgroup_namespace(struct launch_state *state, struct step *step);
int step_file_rules(struct launch_state *state, struct step *step);
int step_file_rules_hold(struct launch_state *state, struct step *step);
int step_keyring(struct launch_state *state, struct step *step);
int step_ioprio(struct launch_state *state, struct step *step);
int step_console(struct launch_state *state, struct step *step);
int step_console_stdio(struct launch_state *state, struct step *step);

/* Clone the first process into its control group. Returns its pid, -1 where that cannot be had. */
int clone_into_group(struct launch_state *state, int (*first)(void *));

/*
 * STEP_USER: clone `first` into the new namespaces as a sibling, write its maps, and end once it
 * has execed. Returns on failure only. What it starts begins with await_maps().
 */
int start_inside(struct launch_state *state, struct step *step, int (*first)(void *));
int await_maps(struct launch_state *state);

/* The pid by which the parent knows this process: /proc was mounted in the parent's namespace. */
int read_host_pid(struct launch_state *state);

/* At most ten digits and a NUL. */
void write_decimal(char *text, unsigned int number);

/* The same for the stub as step_open() does with the modern calls; the new root has to be writable. */
int seal_stub(struct launch_state *state);

/* The service's process: wait until it is attached to. False: that will not be. */
bool await_tracer(struct launch_state *state);

/* The parent: attach to the service, a descendant of its child `pid`, let it go, see it through its exec. */
int attach_tracer(struct launch_state *state, int pid, int go_fd, int done_fd);

/* The launch has failed, and nothing of it is left that the trace could end. */
void leave_tracer(struct launch_state *state);

/* Whether a step puts on a filter that asks a supervisor. */
bool step_asks(const struct step *step);

/* The service's process: put that filter on, and wait until the parent has the listener. Returns 0 or -errno. */
struct sock_fprog;
int ask_from_here(struct launch_state *state, const struct sock_fprog *program, unsigned int flags);

/* The parent: take the listener of the service, a descendant of its child `pid`, and see it through its exec. Returns
 * 0, also if it has ended instead, or -errno. */
int take_listener(struct launch_state *state, int pid, int done_fd);

/* Whether the kernel has the mount calls of Linux 5.12. */
bool has_modern_mounts(void);

#endif
