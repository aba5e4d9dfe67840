# SPDX-License-Identifier: MIT
# shellcheck shell=dash # the nearest to BusyBox ash that shellcheck 0.9 knows
# json_*: JSON trees in shell variables, for scripts on systems without jshn. A tree is nodes with numbers: _J5_type is
# what node 5 is, _J5_count how many children it has, _J5_up its parent; child 2 has _J5_2_name, _J5_2_type and _J5_2_value,
# which is a node's number for an object or array; _J5_m_NAME is the number of the child with that name. Node numbers are
# never used again.
# shellcheck disable=SC2154,SC2034 # set and read through eval

_procd_libexec=${_procd_libexec:-${STOCKADE_LIBEXEC:-${IPKG_INSTROOT:-${STOCKADE_ROOT:-}}/usr/libexec/stockade}}
# shellcheck source=/dev/null
command -v _procd_quote >/dev/null || . "$_procd_libexec/json.sh"

_json_nodes=0
_json_namespace=
_json_root=
_json_at=

# --- the tree as a whole

json_init() {
	_json_node object ''
	_json_root=$_json_nodes
	_json_at=$_json_nodes
}

json_cleanup() { json_init; }

# Each namespace has a tree and a place in it
json_set_namespace() { # NAME [VARIABLE]: leave the name of the one before in it
	[ -z "${2:-}" ] || eval "$2=\$_json_namespace"
	eval "_json_root_$_json_namespace=\$_json_root _json_at_$_json_namespace=\$_json_at"
	_json_namespace=$1
	eval "_json_root=\${_json_root_$1:-} _json_at=\${_json_at_$1:-}"
}

json_load() { # TEXT
	local text=''
	text=$(printf '%s\n' "$1" | LC_ALL=C NODES=$_json_nodes awk -f "$_procd_libexec/json.awk" -f "$_procd_libexec/jshn.awk") || {
		json_init
		echo "Failed to parse message data" >&2
		return 1
	}
	eval "$text"
}

json_load_file() { # FILE
	[ -r "$1" ] || return 1
	json_load "$(cat "$1")"
}

json_dump() { # [-i]
	[ -n "$_json_root" ] || json_init
	local text=''
	_json_text object "$_json_root"
	printf '%s\n' "$text"
}

# Add a value to `text` of the caller
_json_text() { # TYPE VALUE
	local i=1 count name type value
	case $1 in
	object | array)
		eval "count=\$_J${2}_count"
		[ "$1" = object ] && text="$text{" || text="${text}["
		while [ $i -le "$count" ]; do
			eval "name=\$_J${2}_${i}_name type=\$_J${2}_${i}_type value=\$_J${2}_${i}_value"
			[ $i = 1 ] || text=$text,
			text="$text "
			if [ "$1" = object ]; then
				_procd_quote "$name"
				text="$text$_procd_q: "
			fi
			_json_text "$type" "$value"
			i=$((i + 1))
		done
		[ "$1" = object ] && text="$text }" || text="$text ]"
		;;
	string)
		_procd_quote "$2"
		text=$text$_procd_q
		;;
	boolean)
		case $2 in
		'' | 0 | false | no | off) text=${text}false ;;
		*) text=${text}true ;;
		esac
		;;
	int | double)
		# what is no number would make no JSON of all the rest
		case ${2#-} in
		'' | *[!0-9eE.+-]* | [!0-9]* | *[!0-9] | 0[0-9]* | *[0-9+-][+-]* | *.*.* | *[eE]*[.eE]* | *.[!0-9]*) text=${text}0 ;;
		*) text=$text$2 ;;
		esac
		;;
	*) text=${text}null ;;
	esac
}

# --- writing

_json_node() { # TYPE PARENT
	_json_nodes=$((_json_nodes + 1))
	eval "_J${_json_nodes}_type=$1 _J${_json_nodes}_count=0 _J${_json_nodes}_up=$2"
}

# Leave a name in _json_plain as a part of a variable's name
_json_as_plain() {
	_json_plain=$1
	while :; do
		case $_json_plain in
		*[!A-Za-z0-9_]*) _json_plain=${_json_plain%%[!A-Za-z0-9_]*}_${_json_plain#*[!A-Za-z0-9_]} ;;
		*) return ;;
		esac
	done
}

_json_put() { # NAME TYPE VALUE: a child of where we are; one with the same name is replaced
	[ -n "$_json_at" ] || json_init
	local kind count i='' name=$1
	eval "kind=\$_J${_json_at}_type count=\$_J${_json_at}_count"
	if [ "$kind" = array ]; then
		name=$((count + 1))
		_json_plain=$name
	else
		_json_as_plain "$name"
		eval "i=\${_J${_json_at}_m_$_json_plain:-}"
		[ -z "$i" ] || eval "[ \"\$_J${_json_at}_${i}_name\" = \"\$name\" ]" || i=
	fi
	if [ -z "$i" ]; then
		i=$((count + 1))
		eval "_J${_json_at}_count=$i _J${_json_at}_m_$_json_plain=$i _J${_json_at}_${i}_name=\$name"
	fi
	eval "_J${_json_at}_${i}_type=\$2 _J${_json_at}_${i}_value=\$3"
}

_json_open() { # NAME TYPE
	[ -n "$_json_at" ] || json_init
	_json_node "$2" "$_json_at"
	_json_put "$1" "$2" $_json_nodes
	_json_at=$_json_nodes
}

_json_close() {
	local up
	eval "up=\$_J${_json_at}_up"
	_json_at=${up:-$_json_root}
}

json_add_object() { _json_open "${1:-}" object; }
json_add_array() { _json_open "${1:-}" array; }
json_close_object() { _json_close; }
json_close_array() { _json_close; }
json_add_string() { _json_put "${1:-}" string "${2:-}"; }
json_add_int() { _json_put "${1:-}" int "${2:-}"; }
json_add_double() { _json_put "${1:-}" double "${2:-}"; }
json_add_boolean() { _json_put "${1:-}" boolean "${2:-}"; }
json_add_null() { _json_put "${1:-}" null ''; }

json_add_fields() { # NAME[:TYPE][=VALUE]...
	local field name type
	for field; do
		name=${field%%[:=]*} type=string
		case ${field%%=*} in
		*:*) type=${field#*:} type=${type%%=*} ;;
		esac
		case $field in
		*=*) field=${field#*=} ;;
		*) field= ;;
		esac
		case $type in
		str) type=string ;;
		bool) type=boolean ;;
		esac
		_json_put "$name" "$type" "$field"
	done
}

# --- reading

# Leave the number of the child in _json_i
_json_find() { # NAME
	_json_as_plain "$1"
	eval "_json_i=\${_J${_json_at:-none}_m_$_json_plain:-}"
	[ -n "$_json_i" ]
}

json_select() { # [NAME|INDEX|..]: nothing is the top
	local type=
	case ${1:-} in
	'') _json_at=$_json_root ;;
	..) _json_close ;;
	*)
		! _json_find "$1" || eval "type=\$_J${_json_at}_${_json_i}_type"
		case $type in
		object | array) eval "_json_at=\$_J${_json_at}_${_json_i}_value" ;;
		*)
			echo "WARNING: Variable '$1' does not exist or is not an array/object" >&2
			return 1
			;;
		esac
		;;
	esac
}

json_get_type() { # VARIABLE NAME
	if ! _json_find "$2"; then
		eval "$1="
		return 1
	fi
	eval "$1=\$_J${_json_at}_${_json_i}_type"
}

json_is_a() { # NAME TYPE
	local type
	json_get_type type "$1" && [ "$type" = "$2" ]
}

json_get_var() { # VARIABLE NAME [DEFAULT]: truth values are 1 and 0
	if ! _json_find "$2"; then
		eval "$1=\${3:-}"
		return 1
	fi
	eval "$1=\$_J${_json_at}_${_json_i}_value"
}

json_get_vars() { # NAME[:DEFAULT]...: into variables of the same names
	local _json_word _json_default
	for _json_word; do
		_json_default=
		case $_json_word in
		*:*) _json_default=${_json_word#*:} ;;
		esac
		_json_as_plain "${_json_word%%:*}"
		json_get_var "$_json_plain" "${_json_word%%:*}" "$_json_default" || :
	done
}

# _json_list PART VARIABLE [NAME]: names or values of the children, separated by spaces
_json_list() {
	local _json_node=$_json_at _json_n _json_number=1 _json_all='' _json_one
	eval "$2="
	if [ -n "${3:-}" ]; then
		_json_find "$3" || return
		eval "_json_node=\$_J${_json_at}_${_json_i}_value"
	fi
	eval "_json_n=\${_J${_json_node}_count:-0}"
	while [ $_json_number -le "$_json_n" ]; do
		eval "_json_one=\$_J${_json_node}_${_json_number}_$1"
		if [ "$1" = name ]; then
			_json_as_plain "$_json_one"
			_json_one=$_json_plain
		fi
		_json_all="$_json_all${_json_all:+ }$_json_one"
		_json_number=$((_json_number + 1))
	done
	eval "$2=\$_json_all"
}

json_get_keys() { _json_list name "$@"; }    # VARIABLE [NAME]
json_get_values() { _json_list value "$@"; } # VARIABLE [NAME]

json_for_each_item() { # FUNCTION NAME [ARGUMENT...]: called with value, key, arguments
	local _json_function=$1 _json_target=$2 _json_keys _json_key _json_value
	shift 2
	if json_is_a "$_json_target" array || json_is_a "$_json_target" object; then
		json_select "$_json_target"
		json_get_keys _json_keys
		for _json_key in $_json_keys; do
			json_get_var _json_value "$_json_key"
			"$_json_function" "$_json_value" "$_json_key" "$@"
		done
		json_select ..
	elif json_get_var _json_value "$_json_target"; then
		"$_json_function" "$_json_value" '' "$@"
	fi
}
