# SPDX-License-Identifier: MIT
# shellcheck shell=dash # the nearest to BusyBox ash that shellcheck 0.9 knows
# What init scripts expect of /lib/functions.sh on systems that are not OpenWrt: configuration, lists of words, users.
# Configuration is read from /etc/config, through `uci` where there is one.

_functions_root=${IPKG_INSTROOT:-${STOCKADE_ROOT:-}}
# shellcheck disable=SC2034 # scripts use it
N="
"
# what is put between the items of a list by config_load; scripts set it where items hold spaces
LIST_SEP=' '

# shellcheck source=/dev/null
. "$_functions_root/lib/config/uci.sh"

# --- configuration

_config_names=
CONFIG_SECTIONS=

config_load() { # PACKAGE
	if [ -z "${CONFIG_APPEND:-}" ]; then
		# within a loop over sections those that are still to come are wanted
		# shellcheck disable=SC2086 # names of variables
		[ -n "${_config_section:-}" ] || { unset $_config_names _config_none && _config_names=; }
		CONFIG_SECTIONS=
	fi
	CONFIG_SECTION=
	local callbacks='' callback text
	for callback in config_cb option_cb list_cb; do
		! command -v $callback >/dev/null || callbacks="$callbacks${callbacks:+ }$callback"
	done
	text=$(CALLBACKS=$callbacks LIST_SEP=${LIST_SEP:- } _uci_awk "$1" uci-load) || return
	eval "$text" || return
	# the last section ends
	! command -v config_cb >/dev/null || [ -z "$CONFIG_SECTION" ] || config_cb
}

reset_cb() { unset -f config_cb option_cb list_cb; }

config_get() { # VARIABLE SECTION OPTION [DEFAULT], or SECTION OPTION to print it
	case "$2${3:-$1}" in
	*[!A-Za-z0-9_]*)
		[ -n "${3:-}" ] || return 0
		set -- "$1" _config none "${4:-}"
		;;
	esac
	if [ -z "${3:-}" ]; then
		eval "printf '%s\n' \"\${CONFIG_${1}_${2}:-}\""
	else
		eval "$1=\${CONFIG_${2}_${3}:-\${4:-}}"
	fi
}

config_get_bool() { # VARIABLE SECTION OPTION [DEFAULT]
	local _config_value
	config_get _config_value "$2" "$3"
	case $_config_value in
	1 | on | true | yes | enabled) _config_value=1 ;;
	0 | off | false | no | disabled) _config_value=0 ;;
	*) _config_value=${4:-} ;;
	esac
	eval "$1=\$_config_value"
}

get_bool() { # TEXT [DEFAULT]: print 1, 0 or the default
	case $1 in
	1 | on | true | yes | enabled) echo 1 ;;
	0 | off | false | no | disabled) echo 0 ;;
	*) echo "${2:-}" ;;
	esac
}

config_set() { # SECTION OPTION VALUE
	case $1$2 in
	*[!A-Za-z0-9_]*)
		echo "config_set: $1.$2 is no name" >&2
		return 1
		;;
	esac
	eval "CONFIG_${1}_${2}=\$3"
	_config_names="$_config_names CONFIG_${1}_${2}"
}

config_unset() { config_set "$1" "$2" ''; } # SECTION OPTION

config_foreach() { # FUNCTION [TYPE [ARGUMENT...]]
	[ -n "${CONFIG_SECTIONS:-}" ] || return 0
	local _config_function=$1 _config_wanted=${2:-} _config_section _config_type
	shift
	[ $# = 0 ] || shift
	for _config_section in $CONFIG_SECTIONS; do
		eval "_config_type=\${CONFIG_${_config_section}_TYPE:-}"
		[ -n "$_config_wanted" ] && [ "$_config_wanted" != "$_config_type" ] && continue
		"$_config_function" "$_config_section" "$@"
	done
}

config_list_foreach() { # SECTION OPTION FUNCTION [ARGUMENT...]
	local _config_section=$1 _config_option=$2 _config_function=$3 _config_length _config_i=1 _config_value
	shift 3
	config_get _config_length "$_config_section" "${_config_option}_LENGTH" 0
	while [ $_config_i -le "$_config_length" ]; do
		config_get _config_value "$_config_section" "${_config_option}_ITEM$_config_i"
		"$_config_function" "$_config_value" "$@" || :
		_config_i=$((_config_i + 1))
	done
}

# --- words

append() { # VARIABLE WORD [SEPARATOR]
	eval "$1=\"\${$1:-}\${$1:+\${3:- }}\$2\""
}

prepend() { # VARIABLE WORD [SEPARATOR]
	eval "$1=\"\$2\${$1:+\${3:- }}\${$1:-}\""
}

list_contains() { # VARIABLE WORD
	local _list
	eval "_list=\" \${$1:-} \""
	case $_list in
	*" $2 "*) ;;
	*) return 1 ;;
	esac
}

list_remove() { # VARIABLE WORD
	local _list _word _left='' _restore=''
	eval "_list=\${$1:-}"
	case $- in
	*f*) ;;
	*)
		_restore=1
		set -f # a word may be a pattern, and is not meant here
		;;
	esac
	for _word in $_list; do
		[ "$_word" = "$2" ] || _left="$_left${_left:+ }$_word"
	done
	[ -z "$_restore" ] || set +f
	eval "$1=\$_left"
}

include() { # DIRECTORY: read its *.sh
	local file
	for file in "$1"/*.sh; do
		# shellcheck source=/dev/null
		[ ! -e "$file" ] || . "$file"
	done
}

# --- users and groups

user_exists() { _users_have "$1" "$_functions_root/etc/passwd"; }  # NAME
group_exists() { _users_have "$1" "$_functions_root/etc/group"; } # NAME

_users_have() { # NAME FILE
	local name _
	[ -r "$2" ] || return 1
	while IFS=: read -r name _; do
		[ "$name" != "$1" ] || return 0
	done <"$2"
	return 1
}

# The first number from 65536 on that nobody has
_users_free_id() { # FILE
	awk -F: -v id=65536 '{ used[$3] } END { while (id in used) id++; print id }' "$1"
}

# _users_edit COMMAND...: with the lock that all of these take, where nobody but root can put a link
_users_edit() (
	mkdir -p "$_functions_root/var/run" && exec 8<>"$_functions_root/var/run/passwd.lock" && flock 8 || exit 1
	umask 022
	"$@"
)

group_add() { _users_edit _group_add "$@"; }            # NAME GID
group_add_next() { _users_edit _group_add_next "$1"; }  # NAME: prints the gid
group_add_user() { _users_edit _group_add_user "$@"; }  # GROUP USER
user_add() { _users_edit _user_add "$@"; }              # NAME [UID [GID [WORDS [HOME [SHELL]]]]]

_group_add() {
	group_exists "$1" && return 1
	echo "$1:x:$2:" >>"$_functions_root/etc/group"
}

_group_add_next() {
	local gid
	gid=$(awk -F: -v name="$1" '$1 == name { print $3 }' "$_functions_root/etc/group")
	if [ -z "$gid" ]; then
		gid=$(_users_free_id "$_functions_root/etc/group")
		_group_add "$1" "$gid" || return
	fi
	echo "$gid"
}

_group_add_user() {
	local file=$_functions_root/etc/group
	awk -F: -v OFS=: -v group="$1" -v user="$2" '
		$1 == group && index("," $4 ",", "," user ",") == 0 { $4 = $4 ($4 == "" ? "" : ",") user }
		{ print }' "$file" >"$file.new" && chmod 644 "$file.new" && mv "$file.new" "$file"
}

_user_add() {
	user_exists "$1" && return 1
	local uid=${2:-} gid=${3:-} file=$_functions_root/etc/shadow
	[ -n "$uid" ] || uid=$(_users_free_id "$_functions_root/etc/passwd") || return
	[ -n "$gid" ] || gid=$(_group_add_next "$1") || return
	echo "$1:x:$uid:$gid:${4:-$1}:${5:-/var/run/$1}:${6:-/bin/false}" >>"$_functions_root/etc/passwd"
	[ ! -e "$file" ] || echo "$1:x:0:0:99999:7:::" >>"$file"
}
