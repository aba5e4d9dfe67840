# SPDX-License-Identifier: MIT
# The section SECTION against RULES, an OPTION:TYPE[:DEFAULT] in each line (all from the environment): assignments for
# the shell, a line on stderr for each value that is wrong, and then exit status 1. After uci.awk and types.awk.
function section(type, name) { inside = name == ENVIRON["SECTION"] && type == ENVIRON["TYPE"] }
function option(name, text) {
	if (inside)
		got[name] = text
}
function item(name, text) {
	if (!inside)
		return
	# some awks make the element before they look whether it is there
	if (name in got)
		got[name] = got[name] " " text
	else
		got[name] = text
	items[name, ++count[name]] = text
}
function broken(text) {
	print ENVIRON["PACKAGE"] ":" NR ": " text >"/dev/stderr"
	failed = 1
}

# The rule's type ends at the first ":" outside of brackets and quotes
function type_length(rule,    at) {
	at = outside(rule, ":")
	return at ? at - 1 : length(rule)
}

function is_valid(name, type,    i) {
	if (!(name in count))
		return is_type(type, got[name])
	if (type ~ /^list\(.*\)$/)
		type = substr(type, 6, length(type) - 6)
	for (i = 1; i <= count[name]; i++)
		if (!is_type(type, items[name, i]))
			return 0
	return 1
}

END {
	n = split(ENVIRON["RULES"], rules, "\n")
	for (i = 1; i <= n; i++) {
		at = index(rules[i], ":")
		name = substr(rules[i], 1, at - 1)
		rule = substr(rules[i], at + 1)
		if (!uci_is_name(name)) {
			broken("no name of an option: " rules[i])
			continue
		}
		type = substr(rule, 1, type_length(rule))
		text = substr(rule, length(type) + 2)
		if (name in got) {
			if (is_valid(name, type)) {
				text = got[name]
			} else {
				print ENVIRON["PACKAGE"] "." ENVIRON["SECTION"] "." name "=" got[name] " is not " type >"/dev/stderr"
				failed = 1
				text = ""
			}
		}
		if (type == "bool" && text != "")
			text = text ~ /^(1|yes|on|true|enabled)$/
		print name "=" uci_quoted(text)
	}
	exit failed
}
