/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target for what reads a packed plan. The input's first eight bytes are the namespaces
 * of the request; the rest is the plan. What is taken must have the shape that the launcher walks,
 * with every text ended and every filter one that the kernel can be given.
 */
#include "steps.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>

static void require(int condition)
{
	if (!condition)
		abort();
}

/* listen.c's, without what is behind it */
bool step_asks(const struct step *step)
{
	return step->op == STEP_FILTER && step->a[0] & SECCOMP_FILTER_FLAG_NEW_LISTENER;
}

/* Touch all of it: the sanitizer sees one byte too far. Returns how many there are. */
static size_t read_row(char *const *row)
{
	size_t n = 0;

	while (row[n])
		require(strlen(row[n++]) < (size_t)-1);
	return n;
}

static void check_step(const struct launch_state *state, const struct step *step)
{
	int i;

	require(step->op >= STEP_PRIVATE && step->op <= STEP_LAST);
	for (i = 0; i < 2; i++)
		require(!step->s[i][step->len[i]]);
	if (step->op == STEP_EXEC) {
		require(read_row(step->argv) == step->a[0] && step->a[0]);
		require(read_row(step->envp) == step->a[1]);
	} else if (step->op == STEP_EXEC_STUB) {
		require(step->argv[step->a[0]] == state->pid_text);
		require(read_row(step->argv) == step->a[0] + 1 && !read_row(step->envp));
	} else if (step->op == STEP_FILTER) {
		const size_t n = step->len[0] / sizeof(struct sock_filter);

		/* what does not fit the kernel's 16 bits would be cut off */
		require(n && n <= BPF_MAXINSNS && n * sizeof(struct sock_filter) == step->len[0]);
		require(step->code != NULL);
	}
}

static void check_shape(const struct launch_state *state)
{
	unsigned int i, n_ends = 0;

	require(state->n_steps && state->steps[state->n_steps - 1].op == STEP_EXEC);
	for (i = 0; i < state->n_steps; i++)
		n_ends += state->steps[i].op == STEP_EXEC || state->steps[i].op == STEP_FORK ||
			  state->steps[i].op == STEP_EXEC_STUB;
	require(n_ends == (state->stub_exec ? 3 : 1));
	require(!state->stub_exec || state->steps[state->stub_exec].op == STEP_EXEC_STUB);
}

int LLVMFuzzerTestOneInput(const unsigned char *input, size_t size)
{
	struct launch_request request = {0};
	struct launch_state state = {.request = &request, .pid_text = "2"};
	unsigned char *plan;
	uint64_t namespaces;
	unsigned int i;
	int result;

	if (size < sizeof(namespaces))
		return -1;
	memcpy(&namespaces, input, sizeof(namespaces));
	request.namespaces = namespaces;
	size -= sizeof(namespaces);
	plan = malloc(size ? size : 1); /* exact, and aligned as Python's bytes are */
	require(plan != NULL);
	memcpy(plan, input + sizeof(namespaces), size);
	result = decode_plan(plan, size, &state);
	require(!result || result == -EINVAL || result == -ENOMEM);
	if (!result) {
		check_shape(&state);
		for (i = 0; i < state.n_steps; i++)
			check_step(&state, &state.steps[i]);
	}
	free_steps(&state);
	free(plan);
	return 0;
}
