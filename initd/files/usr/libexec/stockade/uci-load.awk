# SPDX-License-Identifier: MIT
# A configuration as assignments for config_get, and calls of the script's callbacks where it has some (CALLBACKS in
# the environment: the names of those it has). LIST_SEP stands between the items of a list. After uci.awk.
BEGIN { callbacks = " " ENVIRON["CALLBACKS"] " " }
function set(name, text) {
	name = "CONFIG_" current "_" name
	print name "=" uci_quoted(text)
	names = names " " name
}
function call(function_name, first, second) {
	if (index(callbacks, " " function_name " "))
		print function_name " " uci_quoted(first) " " uci_quoted(second)
}
function section(type, name) {
	current = name
	if (!(name in known)) {
		known[name] = 1
		sections = sections " " name
	}
	print "CONFIG_SECTION=" name
	if (callbacks != "  ")
		print "CONFIG_SECTIONS=\"${CONFIG_SECTIONS:+$CONFIG_SECTIONS }" name "\""
	set("TYPE", type)
	call("config_cb", type, name)
}
function option(name, text) {
	set(name, text)
	call("option_cb", name, text)
}
function item(name, text,    key) {
	key = current SUBSEP name
	count[key]++
	joined[key] = count[key] > 1 ? joined[key] ENVIRON["LIST_SEP"] text : text
	set(name "_ITEM" count[key], text)
	set(name "_LENGTH", count[key])
	set(name, joined[key])
	call("list_cb", name, text)
}
function broken(text) {
	print ENVIRON["SOURCE"] ":" NR ": " text >"/dev/stderr"
	failed = 1
}
END {
	if (callbacks == "  ")
		print "CONFIG_SECTIONS=\"${CONFIG_SECTIONS:+$CONFIG_SECTIONS }" substr(sections, 2) "\""
	print "_config_names=\"$_config_names" names "\""
	if (failed)
		print "false"
}
