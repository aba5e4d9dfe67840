/* SPDX-License-Identifier: MIT */
/*
 * What all readers of a policy share: refusing with a place and a reason, and looking into
 * JSON objects whose keys must be known.
 */
#include "rules.h"

#include <errno.h>
#include <string.h>

int refuse_at(const struct reading *reading, uint32_t at)
{
	json_place(reading->text, at, &reading->result->line, &reading->result->column);
	reading->result->in_startup = reading->in_startup;
	return -EINVAL;
}

int refuse_memory(struct policy_result *result)
{
	message_join(result->message, sizeof(result->message), "the compiler's memory is too small",
		     (const char *)NULL);
	return -ENOMEM;
}

int refuse_word(const struct reading *reading, const struct json *value, const char *what,
		const char *word, const char *(*list)(unsigned int))
{
	struct nearest nearest;

	nearest_start(&nearest, word);
	for (unsigned int i = 0; list(i); i++)
		nearest_offer(&nearest, list(i));
	if (!nearest.best)
		return refuse(reading, value, "unknown ", what, " \"", word, "\"");
	return refuse(reading, value, "unknown ", what, " \"", word, "\", did you mean \"",
		      nearest.best, "\"");
}

const struct json *json_member(const struct json *object, const char *key)
{
	for (const struct json *member = object->first; member; member = member->next)
		if (!strcmp(member->string, key))
			return member->first;
	return NULL;
}

int expect(const struct reading *reading, const struct json *value, enum json_kind kind,
	   const char *what)
{
	if (value->kind == kind)
		return 0;
	return refuse(reading, value, what, " must be ",
		      kind == JSON_STRING  ? "a string"
		      : kind == JSON_ARRAY ? "an array"
					   : "an object");
}

/* The word of a space-separated list that starts at `list`, in `word`; returns what follows. */
static const char *next_word(const char *list, char word[24])
{
	size_t length = 0;

	for (; *list && *list != ' '; list++)
		if (length < 23)
			word[length++] = *list;
	word[length] = '\0';
	return *list ? list + 1 : list;
}

static bool is_listed(const char *list, const char *key)
{
	char word[24];

	while (*list) {
		list = next_word(list, word);
		if (!strcmp(word, key))
			return true;
	}
	return false;
}

static int refuse_key(const struct reading *reading, const struct json *member, const char *keys)
{
	char word[24], best[24] = "";
	struct nearest nearest;

	nearest_start(&nearest, member->string);
	while (*keys) {
		unsigned int limit = nearest.limit;

		keys = next_word(keys, word);
		nearest_offer(&nearest, word);
		if (nearest.limit < limit)
			memcpy(best, word, sizeof(best));
	}
	if (!best[0])
		return refuse(reading, member, "unknown key \"", member->string, "\"");
	return refuse(reading, member, "unknown key \"", member->string, "\", did you mean \"",
		      best, "\"");
}

int check_keys(const struct reading *reading, const struct json *object, const char *keys)
{
	for (const struct json *member = object->first; member; member = member->next)
		if (!is_listed(keys, member->string))
			return refuse_key(reading, member, keys);
	return 0;
}
