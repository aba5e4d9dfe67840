# SPDX-License-Identifier: MIT
# Is a value of a type? The types are those that scripts name in uci_validate_section; or(…), and(…), not(…), neg(…),
# list(…), range(…), min(…), max(…), length and regex forms take arguments. A type that is not known accepts nothing.

function is_type(type, text,    name, args, n, arg, i) {
	gsub(/^[ \t]+|[ \t]+$/, "", type)
	if (type ~ /^".*"$/ || type ~ /^'.*'$/)
		return text == substr(type, 2, length(type) - 2)
	name = type
	args = ""
	if ((i = index(type, "(")) && type ~ /\)$/) {
		name = substr(type, 1, i - 1)
		args = substr(type, i + 1, length(type) - i - 1)
	}
	if (name == "or") {
		n = arguments(args, arg)
		for (i = 1; i <= n; i++)
			if (is_type(arg[i], text))
				return 1
		return 0
	}
	if (name == "and") {
		n = arguments(args, arg)
		for (i = 1; i <= n; i++)
			if (!is_type(arg[i], text))
				return 0
		return n > 0
	}
	if (name == "not")
		return !is_type(args, text)
	if (name == "neg") {
		sub(/^![ \t]*/, "", text)
		return is_type(args, text)
	}
	if (name == "list") {
		n = split(text, arg, /[ \t]+/)
		for (i = 1; i <= n; i++)
			if (arg[i] != "" && !is_type(args, arg[i]))
				return 0
		return 1
	}
	n = arguments(args, arg)
	if (name == "range")
		return is_number(text) && text + 0 >= arg[1] + 0 && text + 0 <= arg[2] + 0
	if (name == "min")
		return is_number(text) && text + 0 >= arg[1] + 0
	if (name == "max")
		return is_number(text) && text + 0 <= arg[1] + 0
	if (name == "rangelength")
		return length(text) >= arg[1] + 0 && length(text) <= arg[2] + 0
	if (name == "minlength")
		return length(text) >= arg[1] + 0
	if (name == "maxlength")
		return length(text) <= arg[1] + 0
	if (name == "string")
		return (n < 1 || length(text) >= arg[1] + 0) && (n < 2 || length(text) <= arg[2] + 0)
	return is_plain_type(name, text, arg[1])
}

function is_plain_type(name, text, first) {
	if (name == "bool" || name == "boolean")
		return text ~ /^(1|0|yes|no|on|off|true|false|enabled|disabled)$/
	if (name == "uinteger")
		return text ~ /^[0-9]+$/
	if (name == "integer")
		return text ~ /^-?[0-9]+$/
	if (name == "float")
		return is_number(text)
	if (name == "ufloat")
		return is_number(text) && text !~ /^-/
	if (name == "port")
		return text ~ /^[0-9]+$/ && text + 0 <= 65535
	if (name == "portrange")
		return is_port_range(text)
	if (name == "ip4addr")
		return is_ip4(text, 1)
	if (name == "ip6addr")
		return is_ip6(text, 1)
	if (name == "ipaddr")
		return is_ip4(text, 1) || is_ip6(text, 1)
	if (name == "cidr4")
		return is_ip4(text, 1) && index(text, "/")
	if (name == "cidr6")
		return is_ip6(text, 1) && index(text, "/")
	if (name == "cidr")
		return (is_ip4(text, 1) || is_ip6(text, 1)) && index(text, "/")
	if (name == "netmask4")
		return is_ip4(text, 0)
	if (name == "netmask6")
		return is_ip6(text, 0)
	if (name == "macaddr")
		return text ~ /^[0-9a-fA-F][0-9a-fA-F]?(:[0-9a-fA-F][0-9a-fA-F]?)+$/ && split(text, ignored, ":") == 6
	if (name == "hostname")
		return is_host_name(text)
	if (name == "host")
		return is_host_name(text) || is_ip4(text, 0) || is_ip6(text, 0)
	if (name == "network" || name == "uciname")
		return text ~ /^[A-Za-z0-9_]+$/
	if (name == "device")
		return text ~ /^[^ \t\/:]+$/ && length(text) < 16
	if (name == "file" || name == "directory")
		return is_on_disk(name, text)
	if (name == "hexstring")
		return text ~ /^([0-9a-fA-F][0-9a-fA-F])*$/
	if (name == "wpakey")
		return (length(text) >= 8 && length(text) <= 63) || (length(text) == 64 && text !~ /[^0-9a-fA-F]/)
	if (name == "tz")
		return text != ""
	if (name == "regex")
		return text ~ unquoted(first)
	return 0
}

# Split the arguments of a type at commas outside of brackets and quotes
function arguments(text, into,    n, at) {
	if (text == "")
		return 0
	for (n = 1; at = outside(text, ","); n++) {
		into[n] = substr(text, 1, at - 1)
		text = substr(text, at + 1)
	}
	into[n] = text
	return n
}

# Where the first such character stands outside of brackets and quotes, or 0
function outside(text, mark,    i, char, depth, quote) {
	for (i = 1; i <= length(text); i++) {
		char = substr(text, i, 1)
		if (quote != "")
			quote = char == quote ? "" : quote
		else if (char == "\"" || char == "'")
			quote = char
		else if (char == "(")
			depth++
		else if (char == ")")
			depth--
		else if (char == mark && !depth)
			return i
	}
	return 0
}

function unquoted(text) {
	return text ~ /^".*"$/ || text ~ /^'.*'$/ ? substr(text, 2, length(text) - 2) : text
}

function is_number(text) {
	return text ~ /^-?([0-9]+(\.[0-9]*)?|\.[0-9]+)$/
}

function is_port_range(text,    end) {
	if (text !~ /^[0-9]+(-[0-9]+)?$/)
		return 0
	return split(text, end, "-") == 1 ? text + 0 <= 65535 : end[1] + 0 <= end[2] + 0 && end[2] + 0 <= 65535
}

function is_ip4(text, with_prefix,    part, i) {
	if (with_prefix && (i = index(text, "/"))) {
		part = substr(text, i + 1)
		text = substr(text, 1, i - 1)
		if (!(part ~ /^[0-9]+$/ && part + 0 <= 32) && !is_ip4(part, 0))
			return 0
	}
	return is_quad(text)
}

function is_quad(text,    part, i) {
	if (text !~ /^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+$/)
		return 0
	split(text, part, ".")
	for (i = 1; i <= 4; i++)
		if (part[i] + 0 > 255)
			return 0
	return 1
}

function is_ip6(text, with_prefix,    i, part, n, groups, short) {
	if (with_prefix && (i = index(text, "/"))) {
		part = substr(text, i + 1)
		if (part !~ /^[0-9]+$/ || part + 0 > 128)
			return 0
		text = substr(text, 1, i - 1)
	}
	if (text !~ /:/ || text ~ /[^0-9a-fA-F:.]/ || text ~ /:::/)
		return 0
	short = text ~ /::/
	if (sub(/::/, "\n", text) && text ~ /::/)
		return 0
	if (text ~ /^:|:$/)
		return 0
	gsub(/\n/, ":", text)
	n = split(text, group, ":")
	for (i = 1; i <= n; i++) {
		if (group[i] == "")
			continue
		if (i == n && group[i] ~ /\./) {
			if (!is_quad(group[i]))
				return 0
			groups++
		} else if (group[i] !~ /^[0-9a-fA-F]+$/ || length(group[i]) > 4)
			return 0
		groups++
	}
	return short ? groups < 8 : groups == 8
}

function is_host_name(text,    n, label, i) {
	if (text == "" || length(text) > 253 || is_quad_like(text))
		return 0
	sub(/\.$/, "", text)
	n = split(text, label, ".")
	for (i = 1; i <= n; i++)
		if (label[i] !~ /^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?$/ || length(label[i]) > 63)
			return 0
	return n > 0
}

function is_quad_like(text) {
	return text ~ /^[0-9.]+$/
}

function is_on_disk(name, text) {
	gsub(/'/, "'\"'\"'", text)
	return system("test -" (name == "file" ? "f" : "d") " '" text "'") == 0
}
