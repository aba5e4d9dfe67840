# SPDX-License-Identifier: MIT
# JSON, taken apart as it comes, line by line: a token never spans lines, as newlines in strings are escaped. The
# caller's part defines
#   enter(path, key, kind)          an object or array ("object", "array") begins
#   leave(path)                     and ends
#   value(path, key, kind, text)    a "string", "number", "boolean" or "null"
# where path is the keys from the top, each after \034, and an element's key is its number from 1. `json_error` is
# set for what is no JSON, and nothing is called any more. Time is linear in the length of a line.

BEGIN { json_depth = 0; json_want = "value" }

# The parts of a line between quotes are by turns outside and inside of strings, but for escaped quotes
{
	json_n = split($0, json_part, "\"")
	for (json_i = 1; json_i <= json_n && !json_error; json_i++) {
		json_outside(json_part[json_i])
		if (json_i == json_n || json_error)
			break
		json_text = ""
		for (;;) {
			if (++json_i > json_n) {
				json_fail("a string without an end")
				break
			}
			json_text = json_text json_part[json_i]
			if (!match(json_part[json_i], /\\+$/) || RLENGTH % 2 == 0)
				break
			json_text = json_text "\""
		}
		# without its closing quote
		if (json_i == json_n)
			json_fail("a string without an end")
		if (!json_error)
			json_string(json_unescape(json_text))
	}
}

function json_fail(text) {
	if (!json_error)
		json_error = "line " NR ": " text
}

function json_outside(text,    token) {
	while (!json_error && match(text, /[^ \t\r]/)) {
		text = substr(text, RSTART)
		token = substr(text, 1, 1)
		if (index("{}[],:", token)) {
			text = substr(text, 2)
			json_sign(token)
		} else if (match(text, /^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/)) {
			token = substr(text, 1, RLENGTH)
			text = substr(text, RLENGTH + 1)
			json_value("number", token)
		} else if (match(text, /^(true|false|null)/)) {
			token = substr(text, 1, RLENGTH)
			text = substr(text, RLENGTH + 1)
			json_value(token == "null" ? "null" : "boolean", token)
		} else {
			json_fail("unexpected " token)
		}
	}
}

function json_string(text) {
	if (json_want == "key" || json_want == "key or end") {
		json_key[json_depth] = text
		json_want = ":"
	} else {
		json_value("string", text)
	}
}

# Where the next value goes; elements are counted
function json_place(    key) {
	if (json_want != "value" && json_want != "value or end") {
		json_fail("unexpected value")
		return 0
	}
	if (json_depth && json_kind[json_depth] == "array")
		json_key[json_depth] = ++json_count[json_depth]
	return 1
}

function json_value(kind, text) {
	if (!json_place())
		return
	value(json_path[json_depth], json_depth ? json_key[json_depth] : "", kind, text)
	json_want = json_depth ? "next" : "end"
}

function json_sign(sign) {
	if (sign == "{" || sign == "[") {
		if (!json_place())
			return
		enter(json_path[json_depth], json_depth ? json_key[json_depth] : "", sign == "{" ? "object" : "array")
		json_path[json_depth + 1] = json_depth ? json_path[json_depth] "\034" json_key[json_depth] : ""
		json_kind[++json_depth] = sign == "{" ? "object" : "array"
		json_count[json_depth] = 0
		json_want = sign == "{" ? "key or end" : "value or end"
	} else if (sign == "," && json_want == "next") {
		json_want = json_kind[json_depth] == "object" ? "key" : "value"
	} else if (sign == ":" && json_want == ":") {
		json_want = "value"
	} else if ((sign == "}" && json_depth && json_kind[json_depth] == "object" && (json_want == "next" || json_want == "key or end")) \
		|| (sign == "]" && json_depth && json_kind[json_depth] == "array" && (json_want == "next" || json_want == "value or end"))) {
		leave(json_path[json_depth])
		json_want = --json_depth ? "next" : "end"
	} else {
		json_fail("unexpected " sign)
	}
}

function json_unescape(text,    out, at, char, code, low) {
	if (!index(text, "\\"))
		return text
	out = ""
	while ((at = index(text, "\\"))) {
		out = out substr(text, 1, at - 1)
		char = substr(text, at + 1, 1)
		text = substr(text, at + 2)
		if (char == "u") {
			code = json_hex(substr(text, 1, 4))
			text = substr(text, 5)
			if (code >= 55296 && code < 56320 && substr(text, 1, 2) == "\\u") {
				low = json_hex(substr(text, 3, 4))
				if (low >= 56320 && low < 57344) {
					code = 65536 + (code - 55296) * 1024 + low - 56320
					text = substr(text, 7)
				}
			}
			out = out json_utf8(code)
		} else if (index("\"\\/bfnrt", char) && char != "") {
			out = out (char == "n" ? "\n" : char == "t" ? "\t" : char == "r" ? "\r" : char == "b" ? "\b" : char == "f" ? "\f" : char)
		} else {
			json_fail("unknown escape " char)
		}
	}
	return out text
}

function json_hex(text,    code, i) {
	if (text !~ /^[0-9a-fA-F][0-9a-fA-F][0-9a-fA-F][0-9a-fA-F]$/)
		json_fail("unknown escape u" text)
	text = tolower(text)
	for (i = 1; i <= 4; i++)
		code = code * 16 + index("123456789abcdef", substr(text, i, 1))
	return code
}

# The shell has no place for the character 0
function json_utf8(code) {
	if (!code)
		return ""
	if (code < 128)
		return sprintf("%c", code)
	if (code < 2048)
		return sprintf("%c%c", 192 + int(code / 64), 128 + code % 64)
	if (code < 65536)
		return sprintf("%c%c%c", 224 + int(code / 4096), 128 + int(code / 64) % 64, 128 + code % 64)
	return sprintf("%c%c%c%c", 240 + int(code / 262144), 128 + int(code / 4096) % 64, 128 + int(code / 64) % 64, 128 + code % 64)
}
