# SPDX-License-Identifier: MIT
# One option, or with an empty OPTION the type of the SECTION, which may be @TYPE[N], N from 0 or from the end if
# negative. All from the environment. Exit status 1 if there is none. After uci.awk.
BEGIN {
	wanted = ENVIRON["SECTION"]
	name = ENVIRON["OPTION"]
	if (match(wanted, /^@.*\[-?[0-9]+\]$/)) {
		at = index(wanted, "[")
		type_wanted = substr(wanted, 2, at - 2)
		number = substr(wanted, at + 1) + 0
	}
}
function section(type, section_name) {
	current = section_name
	if (type_wanted != "" && type == type_wanted && !(current in seen)) {
		seen[current] = 1
		nth[total++] = current
	}
	kind[current] = type
}
function option(option_name, text) {
	if (option_name == name) {
		text_of[current] = text
		found[current] = 1
	}
}
function item(option_name, text) {
	if (option_name == name) {
		text_of[current] = current in found ? text_of[current] " " text : text
		found[current] = 1
	}
}
function broken(text) { }
END {
	if (type_wanted != "") {
		if (number < 0)
			number += total
		wanted = number in nth ? nth[number] : ""
	}
	if (!(wanted in kind) || (name != "" && !(wanted in found)))
		exit 1
	print name == "" ? kind[wanted] : text_of[wanted]
}
