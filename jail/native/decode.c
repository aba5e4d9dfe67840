/* SPDX-License-Identifier: MIT */
/*
 * A packed plan → the array of steps that the children walk, with everything they need made
 * beforehand: argument vectors, and door 1's filter with the real pointers in it. Runs in the
 * parent; the last place that allocates.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "steps.h"

#define SMALLEST_STEP (sizeof(struct wire_step) + 2) /* with its two empty texts */

/* An array of `count` pointers into a row of NUL-terminated texts, and room for one more. */
static char **split(const char *texts, size_t size, uint64_t count)
{
	const char *end = texts + size + 1;
	char **array;
	uint64_t i;

	if (count > size + 1)
		return NULL;
	array = calloc(count + 2, sizeof(*array));
	if (!array)
		return NULL;
	for (i = 0; i < count; i++) {
		if (texts >= end) {
			free(array);
			return NULL;
		}
		array[i] = (char *)texts;
		texts += strlen(texts) + 1;
	}
	return array;
}

/* The kernel is told how many instructions there are in 16 bits. */
static bool is_filter(const struct step *step)
{
	const size_t n = step->len[0] / sizeof(struct sock_filter);

	return n && n <= BPF_MAXINSNS && n * sizeof(struct sock_filter) == step->len[0];
}

/* Copy a filter and put the real pointers where the stand-ins are. */
static char *pin_filter(const struct step *filter, const struct step *exec)
{
	const uint64_t pins[3] = {EXEC_PIN_PATH, EXEC_PIN_ARGV, EXEC_PIN_ENVP};
	const uint64_t real[3] = {(uintptr_t)exec->s[0], (uintptr_t)exec->argv,
				  (uintptr_t)exec->envp};
	const size_t n = filter->len[0] / sizeof(struct sock_filter);
	struct sock_filter *code = malloc(filter->len[0] + 1);
	size_t i;
	int j;

	if (!code)
		return NULL;
	memcpy(code, filter->s[0], filter->len[0]);
	for (i = 0; i < n; i++) {
		if (code[i].code != (BPF_JMP | BPF_JEQ | BPF_K))
			continue;
		for (j = 0; j < 3; j++) {
			if (code[i].k == (uint32_t)pins[j])
				code[i].k = real[j];
			else if (code[i].k == (uint32_t)(pins[j] >> 32))
				code[i].k = real[j] >> 32;
			else
				continue;
			break;
		}
	}
	return (char *)code;
}

static int decode_step(const unsigned char **at, const unsigned char *end, struct step *step)
{
	struct wire_step wire;
	int i;

	if ((size_t)(end - *at) < sizeof(wire))
		return -EINVAL;
	memcpy(&wire, *at, sizeof(wire));
	*at += sizeof(wire);
	if (wire.op < STEP_PRIVATE || wire.op > STEP_LAST)
		return -EINVAL;
	step->op = wire.op;
	step->fd = -1;
	memcpy(step->a, wire.a, sizeof(wire.a));
	for (i = 0; i < 2; i++) {
		if ((size_t)(end - *at) <= wire.len[i] || (*at)[wire.len[i]])
			return -EINVAL;
		step->s[i] = (const char *)*at;
		step->len[i] = wire.len[i];
		*at += wire.len[i] + 1;
	}
	return 0;
}

static int decode_exec(struct launch_state *state, struct step *step)
{
	if (step->op == STEP_EXEC) {
		const char *arguments = step->s[0] + strlen(step->s[0]) + 1;

		/* a program without a name for itself takes its first variable for it */
		if (strlen(step->s[0]) >= step->len[0] || !step->a[0])
			return -EINVAL;
		step->argv = split(arguments, step->s[0] + step->len[0] - arguments, step->a[0]);
		if (!step->argv)
			return -EINVAL;
		step->envp = split(step->s[1], step->len[1], step->a[1]);
		return step->envp ? 0 : -EINVAL;
	}
	if (step->op == STEP_EXEC_STUB) {
		if (!step->a[0])
			return -EINVAL;
		step->argv = split(step->s[0], step->len[0], step->a[0]);
		if (!step->argv)
			return -EINVAL;
		step->argv[step->a[0]] = state->pid_text;
		step->envp = step->argv + step->a[0] + 1; /* the NULL behind it: no variables */
	}
	return 0;
}

/*
 * The shape of every plan: some set-up, FORK, PID 1's steps and EXEC_STUB, the service's steps and EXEC.
 * Or no stub: the service's steps and EXEC alone.
 */
static int check_shape(struct launch_state *state)
{
	unsigned int i, fork = 0, exec = 0, found = 0, user = 0, n_users = 0;

	for (i = 0; i < state->n_steps; i++) {
		if (state->steps[i].op == STEP_FORK)
			fork = i, found++;
		else if (state->steps[i].op == STEP_EXEC_STUB)
			state->stub_exec = i, found++;
		else if (state->steps[i].op == STEP_EXEC)
			exec = i, found++;
		else if (state->steps[i].op == STEP_USER)
			user = i, n_users++;
	}
	/* without the step nobody would make the namespaces */
	if (n_users != !!(state->request->namespaces & CLONE_NEWUSER))
		return -EINVAL;
	if (exec + 1 != state->n_steps || state->steps[exec].op != STEP_EXEC)
		return -EINVAL;
	if (found == 1)
		return n_users ? -EINVAL : 0;
	return found == 3 && fork && user < fork && fork < state->stub_exec &&
			       state->stub_exec < exec
		       ? 0
		       : -EINVAL;
}

int decode_plan(const unsigned char *plan, size_t size, struct launch_state *state)
{
	const unsigned char *end = plan + size;
	unsigned int i;
	int result;

	/* as many as could be in there */
	state->steps = calloc(size / SMALLEST_STEP + 1, sizeof(*state->steps));
	if (!state->steps)
		return -ENOMEM;
	while (plan < end) {
		struct step *step = &state->steps[state->n_steps++];

		result = decode_step(&plan, end, step);
		if (!result && step->op == STEP_FILTER && !is_filter(step))
			result = -EINVAL;
		if (!result)
			result = decode_exec(state, step);
		if (result)
			return result;
	}
	result = check_shape(state);
	for (i = 0; !result && i < state->n_steps; i++) {
		struct step *step = &state->steps[i];

		if (step->op != STEP_FILTER)
			continue;
		state->asks |= step_asks(step);
		step->code = pin_filter(step, &state->steps[state->n_steps - 1]);
		result = step->code ? 0 : -ENOMEM;
	}
	return result;
}

void free_steps(struct launch_state *state)
{
	unsigned int i;

	for (i = 0; state->steps && i < state->n_steps; i++) {
		free(state->steps[i].argv);
		if (state->steps[i].op == STEP_EXEC)
			free(state->steps[i].envp);
		free(state->steps[i].code);
	}
	free(state->steps);
}
