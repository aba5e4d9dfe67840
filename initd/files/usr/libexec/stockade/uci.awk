# SPDX-License-Identifier: MIT
# Configuration files: words in single, double or no quotes, "\" before a character, "#" before a comment. The caller's
# part defines section(type, name), option(name, value), item(name, value) for lists, and broken(text). Sections without
# a name get cfgNNHHHH: their number and a hash of the type, which stay when options change.

BEGIN {
	for (uci_i = 33; uci_i < 127; uci_i++)
		uci_code[sprintf("%c", uci_i)] = uci_i
}

!uci_open { uci_n = 0; uci_in = 0 }
{ uci_open = uci_line($0) }
!uci_open { uci_statement() }
END {
	if (uci_open)
		broken("a quote is not closed")
}

# Take the words of a line. True if it goes on in the next: an open quote, or "\" at its end
function uci_line(line,    char, at) {
	while (line != "") {
		if (uci_quote == "'") {
			at = index(line, "'")
			uci_word[uci_n] = uci_word[uci_n] (at ? substr(line, 1, at - 1) : line "\n")
			if (!at)
				return 1
			uci_quote = ""
			line = substr(line, at + 1)
			continue
		}
		if (uci_quote == "" ? match(line, /^[^ \t'"\\#]+/) : match(line, /^[^"\\]+/)) {
			uci_add(substr(line, 1, RLENGTH))
			line = substr(line, RLENGTH + 1)
			continue
		}
		char = substr(line, 1, 1)
		line = substr(line, 2)
		if (char == "\\") {
			if (line == "")
				return 1
			uci_add(substr(line, 1, 1))
			line = substr(line, 2)
		} else if (char == uci_quote) {
			uci_quote = ""
		} else if (uci_quote == "" && (char == "'" || char == "\"")) {
			uci_add("")
			uci_quote = char
		} else if (char == "#" && !uci_in) {
			line = ""
		} else if (char == "#") {
			uci_add(char)
		} else {
			uci_in = 0
		}
	}
	if (uci_quote != "")
		uci_word[uci_n] = uci_word[uci_n] "\n"
	return uci_quote != ""
}

function uci_add(text) {
	if (!uci_in) {
		uci_in = 1
		uci_word[++uci_n] = ""
	}
	uci_word[uci_n] = uci_word[uci_n] text
}

function uci_statement(    kind) {
	if (!uci_n)
		return
	kind = uci_word[1]
	if (kind == "config" && (uci_n == 2 || uci_n == 3)) {
		uci_sections++
		uci_section(uci_word[2], uci_n == 3 ? uci_word[3] : "")
	} else if (kind == "option" && uci_n == 3 && uci_is_name(uci_word[2])) {
		if (uci_sections)
			option(uci_word[2], uci_word[3])
		else
			broken("an option before the first section")
	} else if (kind == "list" && uci_n == 3 && uci_is_name(uci_word[2])) {
		if (uci_sections)
			item(uci_word[2], uci_word[3])
		else
			broken("a list before the first section")
	} else if (kind != "package") {
		broken("not understood: " $0)
	}
}

function uci_section(type, name,    i, hash) {
	if (name == "") {
		hash = 5381
		for (i = 1; i <= length(type); i++)
			hash = (hash * 33 + uci_code[substr(type, i, 1)]) % 65536
		name = sprintf("cfg%02x%04x", uci_sections, hash)
	}
	if (uci_is_name(name))
		section(type, name)
	else
		broken("a section named " name)
}

function uci_is_name(text) {
	return text != "" && text !~ /[^A-Za-z0-9_]/
}

# A word for the shell
function uci_quoted(text) {
	gsub(/'/, "'\"'\"'", text)
	return "'" text "'"
}
