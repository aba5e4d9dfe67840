# SPDX-License-Identifier: MIT
# shellcheck shell=dash # the nearest to BusyBox ash that shellcheck 0.9 knows
# Configuration of the right types: the rules go to initd while `validate` is open, and else values are checked against
# them. Part of procd.sh; the check is /sbin/validate_data's where there is one.
# shellcheck disable=SC2154,SC2034 # variables of procd.sh

procd_open_validate() { _procd_validating=1; }
procd_close_validate() { _procd_validating=; }

procd_add_validation() { # FUNCTION [ARGUMENT...]
	procd_open_validate
	"$@"
	procd_close_validate
}

# Check, or tell: OPTION:TYPE[:DEFAULT]... of a section. A check leaves each value in a variable of the option's name,
# empty if it is wrong; a list's elements are separated by spaces.
uci_validate_section() { # PACKAGE TYPE SECTION OPTION...
	if [ -n "$_procd_validating" ] || [ -z "$3" ]; then
		_procd_add_rules "$@"
		return
	fi
	local _procd_text _procd_status=0
	if [ -x "$_procd_root/sbin/validate_data" ]; then
		_procd_text=$("$_procd_root/sbin/validate_data" "$@") || _procd_status=$?
	else
		_procd_text=$(_procd_check "$@") || _procd_status=$?
	fi
	eval "$_procd_text"
	return $_procd_status
}

uci_load_validate() { # PACKAGE TYPE SECTION FUNCTION OPTION...: call it with the section and the result
	local _procd_package=$1 _procd_section_type=$2 _procd_section=$3 _procd_function=$4 _procd_result=0 _procd_rule
	shift 4
	if [ -n "$_procd_validating" ] || [ -z "$_procd_function" ]; then
		uci_validate_section "$_procd_package" "$_procd_section_type" "$_procd_section" "$@"
		return
	fi
	for _procd_rule; do
		# shellcheck disable=SC2163 # the option's name is the variable's
		eval "local ${_procd_rule%%:*}="
	done
	uci_validate_section "$_procd_package" "$_procd_section_type" "$_procd_section" "$@" || _procd_result=$?
	"$_procd_function" "$_procd_section" "$_procd_result"
}

_procd_add_rules() { # PACKAGE TYPE SECTION OPTION...
	local rule all='' name
	_procd_quote "$1"
	rule="{\"package\":$_procd_q"
	_procd_quote "$2"
	rule="$rule,\"type\":$_procd_q,\"data\":{"
	shift 3
	while [ $# -gt 0 ]; do
		_procd_quote "${1%%:*}"
		name=$_procd_q
		_procd_rule_type "${1#*:}"
		all=$all${all:+,}$name:$_procd_q
		shift
	done
	_procd_validate="$_procd_validate${_procd_validate:+,}$rule$all}}"
}

# What is before the ":" of the default, if one stands outside of all brackets and quotes
_procd_rule_type() { # TYPE[:DEFAULT]
	local type=${1%%:*} rest=${1#*:} opened closed
	while [ "$type" != "$1" ]; do
		opened=$(printf %s "$type" | tr -cd '(')
		closed=$(printf %s "$type" | tr -cd ')')
		[ ${#opened} -gt ${#closed} ] || break
		case $rest in
		*:*) type=$type:${rest%%:*} rest=${rest#*:} ;;
		*) type=$1 ;;
		esac
	done
	_procd_quote "$type"
}

_procd_check() { # PACKAGE TYPE SECTION OPTION...
	local package=$1 type=$2 section=$3 file=$_procd_root/etc/config/$1
	shift 3
	[ -r "$file" ] || file=/dev/null
	RULES=$(printf '%s\n' "$@") PACKAGE=$package TYPE=$type SECTION=$section LC_ALL=C awk -f "$_procd_libexec/uci.awk" \
		-f "$_procd_libexec/types.awk" -f "$_procd_libexec/validate.awk" "$file"
}
