/* SPDX-License-Identifier: MIT */
/*
 * Who is traced: a table by thread id. Open addressing without tombstones, because programs
 * like shells make and lose tasks by the ten thousand.
 */
#include <stdlib.h>

#include "trace.h"

#define FIRST_SIZE 64

static size_t place(const struct tasks *tasks, pid_t tid)
{
	return ((uint32_t)tid * 2654435769U) & (tasks->size - 1);
}

/* The slot of a task, or the free one where it would be. There always is a free one. */
static size_t probe(const struct tasks *tasks, pid_t tid)
{
	size_t at = place(tasks, tid);

	while (tasks->slots[at].tid && tasks->slots[at].tid != tid)
		at = (at + 1) & (tasks->size - 1);
	return at;
}

struct task *find_task(const struct tasks *tasks, pid_t tid)
{
	struct task *task = tasks->size ? &tasks->slots[probe(tasks, tid)] : NULL;

	return task && task->tid ? task : NULL;
}

static bool grow(struct tasks *tasks)
{
	struct tasks larger = {.size = tasks->size ? 2 * tasks->size : FIRST_SIZE};
	size_t i;

	larger.slots = calloc(larger.size, sizeof(*larger.slots));
	if (!larger.slots)
		return false;
	larger.used = tasks->used;
	for (i = 0; i < tasks->size; i++)
		if (tasks->slots[i].tid)
			larger.slots[probe(&larger, tasks->slots[i].tid)] = tasks->slots[i];
	free(tasks->slots);
	*tasks = larger;
	return true;
}

struct task *add_task(struct tasks *tasks, pid_t tid)
{
	struct task *task = find_task(tasks, tid);

	if (task)
		return task;
	if (2 * tasks->used >= tasks->size && !grow(tasks))
		return NULL;
	task = &tasks->slots[probe(tasks, tid)];
	*task = (struct task){.tid = tid, .is_new = true};
	tasks->used++;
	return task;
}

/* What follows a freed slot moves up, unless it is already where it belongs. */
static void close_gap(struct tasks *tasks, size_t gap)
{
	const size_t mask = tasks->size - 1;
	size_t at = gap;

	for (;;) {
		size_t home;

		tasks->slots[gap].tid = 0;
		do {
			at = (at + 1) & mask;
			if (!tasks->slots[at].tid)
				return;
			home = place(tasks, tasks->slots[at].tid);
		} while (((at - home) & mask) < ((at - gap) & mask));
		tasks->slots[gap] = tasks->slots[at];
		gap = at;
	}
}

void drop_task(struct tasks *tasks, pid_t tid)
{
	struct task *task = find_task(tasks, tid);

	if (!task)
		return;
	set_image(task, NULL);
	close_gap(tasks, task - tasks->slots);
	tasks->used--;
}

void set_image(struct task *task, struct image *image)
{
	if (image)
		image->users++;
	if (task->image && !--task->image->users)
		free(task->image);
	task->image = image;
}
