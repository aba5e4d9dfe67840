/* SPDX-License-Identifier: MIT */
/* What a trace remembers: counts by program, call and argument, and names of files. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "trace.h"

#define FIRST_SIZE 256 /* of the tables; powers of two */
#define MAX_FILES 65536
#define MAX_TEXT 4096 /* PATH_MAX */
#define MAX_BYTES (8 << 20) /* of all names of files */
/* Counts kept in all, and those of them that leave room for arguments; a program can make as many values,
 * and numbers of calls, as it likes */
#define MAX_COUNTS 131072
#define MAX_VALUES 65536
#define MAX_PROGRAMS 512 /* with a name each; all others are one more */

/* ---- counts ---- */

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
	return hash ^ hash >> 29;
}

static bool is_same(const struct trace_count *a, const struct trace_count *b)
{
	return a->number == b->number && a->value == b->value && a->argument == b->argument &&
	       a->program == b->program && a->abi == b->abi && a->early == b->early;
}

static struct trace_count *probe_count(const struct counts *counts, const struct trace_count *key)
{
	uint64_t hash = mix((uint64_t)key->program << 32 | key->number,
			    key->abi | key->early << 2 | key->argument << 3);
	size_t at = mix(hash, key->value) & (counts->size - 1);

	while (counts->slots[at].count && !is_same(&counts->slots[at], key))
		at = (at + 1) & (counts->size - 1);
	return &counts->slots[at];
}

static int grow_counts(struct counts *counts)
{
	struct counts larger = {.size = counts->size ? 2 * counts->size : FIRST_SIZE};
	size_t i;

	larger.slots = calloc(larger.size, sizeof(*larger.slots));
	if (!larger.slots)
		return -1;
	larger.used = counts->used;
	for (i = 0; i < counts->size; i++)
		if (counts->slots[i].count)
			*probe_count(&larger, &counts->slots[i]) = counts->slots[i];
	free(counts->slots);
	*counts = larger;
	return 0;
}

static int count(struct trace *trace, struct trace_count key)
{
	struct counts *counts = &trace->counts;
	struct trace_count *slot;

	if (2 * counts->used >= counts->size && counts->used < MAX_COUNTS && grow_counts(counts))
		return -1;
	slot = probe_count(counts, &key);
	if (!slot->count) {
		if (counts->used == MAX_COUNTS) {
			trace->lost |= TRACE_LOST_CALLS;
			return 0;
		}
		if (key.argument && counts->used > MAX_VALUES) {
			trace->lost |= TRACE_LOST_ARGUMENTS;
			return 0;
		}
		*slot = key;
		counts->used++;
	}
	slot->count++;
	return 0;
}

/* ---- files ---- */

static size_t file_place(const struct files *files, const struct trace_file *file)
{
	uint64_t hash = mix(file->mode, (uint64_t)file->program << 32 | file->number);
	uint32_t i;

	for (i = 0; i < file->size; i++)
		hash = mix(hash, (unsigned char)file->text[i]);
	return hash & (files->size - 1);
}

static bool is_same_file(const struct trace_file *a, const struct trace_file *b)
{
	return a->size == b->size && a->program == b->program && a->abi == b->abi &&
	       a->number == b->number && a->early == b->early && a->mode == b->mode &&
	       !memcmp(a->text, b->text, a->size);
}

static uint32_t *probe_file(const struct files *files, const struct trace_file *file)
{
	size_t at = file_place(files, file);

	while (files->index[at] && !is_same_file(&files->list[files->index[at] - 1], file))
		at = (at + 1) & (files->size - 1);
	return &files->index[at];
}

static int grow_files(struct files *files)
{
	struct files larger = *files;
	struct trace_file *list;
	size_t i;

	larger.size = files->size ? 2 * files->size : FIRST_SIZE;
	list = realloc(files->list, larger.size / 2 * sizeof(*list));
	if (!list)
		return -1;
	larger.list = files->list = list;
	larger.index = calloc(larger.size, sizeof(*larger.index));
	if (!larger.index)
		return -1;
	for (i = 0; i < files->used; i++)
		*probe_file(&larger, &list[i]) = i + 1;
	free(files->index);
	*files = larger;
	return 0;
}

static int add_file(struct trace *trace, struct trace_file file, const char *text)
{
	struct files *files = &trace->files;
	uint32_t *slot;

	if (2 * files->used >= files->size && grow_files(files))
		return -1;
	file.text = (char *)text;
	slot = probe_file(files, &file);
	if (*slot)
		return 0;
	if (files->used == MAX_FILES || files->bytes + file.size > MAX_BYTES) {
		trace->lost |= TRACE_LOST_FILES;
		return 0;
	}
	file.text = malloc(file.size + 1);
	if (!file.text)
		return -1;
	memcpy(file.text, text, file.size);
	file.text[file.size] = '\0';
	files->list[files->used++] = file;
	files->bytes += file.size;
	*slot = files->used;
	return 0;
}

/* Where a relative path starts from, with a slash at its end; its length. */
static size_t read_folder(pid_t tid, int64_t fd, char *out)
{
	char link[64];
	ssize_t length;

	if (fd < 0)
		snprintf(link, sizeof(link), "/proc/%d/cwd", tid);
	else
		snprintf(link, sizeof(link), "/proc/%d/fd/%d", tid, (int)fd);
	length = readlink(link, out, MAX_TEXT - 1);
	if (length < 0)
		return 0;
	out[length] = '/';
	return length + 1;
}

static int note_path(struct trace *trace, pid_t tid, const struct trace_watch *watch,
		     const struct call *call, struct trace_file file)
{
	char text[2 * MAX_TEXT], path[MAX_TEXT];
	const size_t got = read_memory(tid, call->args[watch->index], path, sizeof(path));
	const size_t length = strnlen(path, got);
	size_t before = 0;

	if (length == got)
		return 0; /* not a path: the call will fail */
	if (path[0] != '/')
		before = read_folder(
			tid, watch->folder < 0 ? -1 : (int32_t)call->args[watch->folder], text);
	memcpy(text + before, path, length);
	file.size = before + length;
	file.mode = watch->mode < 0 ? 0 : call->args[watch->mode];
	return add_file(trace, file, text);
}

static int note_address(struct trace *trace, pid_t tid, const struct trace_watch *watch,
			const struct call *call, struct trace_file file)
{
	struct sockaddr_storage address;
	uint64_t size = call->args[watch->index + 1];

	size = size < sizeof(address) ? size : sizeof(address);
	file.size = read_memory(tid, call->args[watch->index], (char *)&address, size);
	return file.size ? add_file(trace, file, (char *)&address) : 0;
}

/* ---- both ---- */

static int note_arguments(struct trace *trace, pid_t tid, const struct trace_watch *watch,
			  struct trace_count key)
{
	struct trace_file file = {
		.program = key.program, .abi = key.abi, .number = key.number, .early = key.early};
	struct call call;

	if (read_call(tid, trace->flags, &call)) {
		trace->lost |= TRACE_LOST_ARGUMENTS;
		return 0;
	}
	if (watch->what == TRACE_PATH)
		return note_path(trace, tid, watch, &call, file);
	if (watch->what == TRACE_ADDRESS)
		return note_address(trace, tid, watch, &call, file);
	key.argument = watch->index + 1;
	key.value = call.args[watch->index];
	return count(trace, key);
}

int note_call(struct trace *trace, pid_t tid, const struct image *image, unsigned int message)
{
	const unsigned int watch = trace->watch_of[message];
	struct trace_count key = {
		.program = image->program,
		.abi = message >> MESSAGE_ABI_SHIFT,
		.number = message & MESSAGE_NUMBER,
		.early = image->is_awaited,
	};

	if (count(trace, key))
		return -1;
	return watch ? note_arguments(trace, tid, &trace->watches[watch - 1], key) : 0;
}

static int add_program(struct trace *trace, const char *name, bool has_shim)
{
	struct program *programs;

	programs = realloc(trace->programs, (trace->n_programs + 1) * sizeof(*programs));
	if (!programs)
		return -1;
	trace->programs = programs;
	programs += trace->n_programs;
	*programs = (struct program){.name = strdup(name), .has_shim = has_shim};
	if (!programs->name)
		return -1;
	trace->n_programs++;
	return 0;
}

int note_program(struct trace *trace, pid_t tid, bool *has_shim, uint32_t *program)
{
	char link[64], name[MAX_TEXT] = "?";
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/%d/exe", tid);
	length = readlink(link, name, sizeof(name) - 1);
	if (length > 0)
		name[length] = '\0';
	for (*program = 0; *program < trace->n_programs; ++*program)
		if (trace->programs[*program].has_shim == *has_shim &&
		    !strcmp(trace->programs[*program].name, name))
			return 0;
	if (*program < MAX_PROGRAMS)
		return add_program(trace, name, *has_shim);
	/* all of whose calls count: nobody could say for which of them main has begun */
	trace->lost |= TRACE_LOST_PROGRAMS;
	*program = MAX_PROGRAMS;
	*has_shim = false;
	return trace->n_programs > MAX_PROGRAMS ? 0 : add_program(trace, "others", false);
}

void free_notes(struct trace *trace)
{
	size_t i;

	for (i = 0; i < trace->files.used; i++)
		free(trace->files.list[i].text);
	for (i = 0; i < trace->n_programs; i++)
		free(trace->programs[i].name);
	free(trace->files.list);
	free(trace->files.index);
	free(trace->counts.slots);
	free(trace->programs);
}
