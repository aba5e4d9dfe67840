# SPDX-License-Identifier: MIT
# shellcheck shell=dash # the nearest to BusyBox ash that shellcheck 0.9 knows
# What an init script says about its service, gathered as JSON and handed to initd in one ubus call. Sourced by
# rc.common. The shell makes the JSON itself and forks for no value: a variable for each parameter holds what stands
# between its brackets, in _procd_v_PARAMETER, and closing the instance puts them together in the order of _procd_keys.
#
# The rest is in libexec: json.sh, jail.sh and parameters that are misspelt, trigger.sh, data.sh, bus.sh, validate.sh.
# shellcheck disable=SC2034,SC2154 # many variables are set and read through eval, by parameter

_procd_root=${IPKG_INSTROOT:-${STOCKADE_ROOT:-}}
_procd_libexec=${STOCKADE_LIBEXEC:-$_procd_root/usr/libexec/stockade}
# our own `ubus` is there, for machines that have none
case ":$PATH:" in
*":$_procd_libexec:"*) ;;
*) PATH=$PATH:$_procd_libexec ;;
esac

_procd_service=
_procd_instance=
_procd_keys=
_procd_validating=

for _procd_part in json jail trigger data bus validate; do
	# shellcheck source=/dev/null
	. "$_procd_libexec/$_procd_part.sh" || exit 1
done
unset _procd_part

# --- the service

procd_open_service() { # NAME [SCRIPT]
	_procd_service=$1
	_procd_quote "$1"
	_procd_head=\"name\":$_procd_q
	if [ -n "${2:-}" ]; then
		_procd_quote "$2"
		_procd_head=$_procd_head,\"script\":$_procd_q
	fi
	_procd_instances=
	_procd_instance_names=,
	_procd_count=0
	_procd_triggers=
	_procd_validate=
	_procd_service_data=
	_procd_is_open=1
}

procd_close_service() { # [set|add]
	local method=${1:-set}
	[ -z "$_procd_instance" ] || procd_close_instance
	procd_open_trigger
	! command -v service_triggers >/dev/null || service_triggers
	procd_close_trigger
	! command -v service_data >/dev/null || service_data
	_procd_collect_data _procd_service_data
	local json="{$_procd_head,\"instances\":{$_procd_instances},\"triggers\":[$_procd_triggers]"
	[ -z "$_procd_validate" ] || json="$json,\"validate\":[$_procd_validate]"
	[ -z "$_procd_service_data" ] || json="$json,\"data\":{$_procd_service_data}"
	_procd_is_open=
	_procd_ubus "$method" "$json}"
}

# --- an instance

# shellcheck disable=SC2120 # scripts call it
procd_open_instance() { # [NAME]
	if [ -z "$_procd_is_open" ]; then
		_procd_warn "procd_open_instance outside of a service"
		return 1
	fi
	if [ -n "$_procd_instance" ]; then
		# what was still to be said of it may have been what holds it
		_procd_refuse "instance $_procd_instance is not closed before the next"
		procd_close_instance
	fi
	_procd_count=$((_procd_count + 1))
	_procd_quote "${1:-instance$_procd_count}"
	_procd_instance=$_procd_q
	case $_procd_instance_names in
	*,"$_procd_instance",*) _procd_warn "instance $_procd_instance twice: the later one counts" ;;
	esac
	_procd_instance_names=$_procd_instance_names$_procd_instance,
	_procd_keys=
	_procd_errors=
	_procd_instance_data=
	if [ -n "${TRACE_SYSCALLS:-}" ]; then
		_procd_begin trace
		_procd_v_trace=true
	fi
}

procd_close_instance() {
	[ -n "$_procd_instance" ] || return 1
	local key text='' IFS=' ' # the script may have another, and what is not split is lost
	_procd_collect_data _procd_instance_data
	if [ -n "$_procd_instance_data" ]; then
		_procd_has data || _procd_begin data
		_procd_join data "$_procd_instance_data"
	fi
	if [ -n "$_procd_errors" ]; then
		_procd_has error || _procd_begin error
		_procd_join error "$_procd_errors"
	fi
	if _procd_has respawn && [ -z "$_procd_v_respawn" ]; then
		_procd_respawn_defaults
	fi
	for key in $_procd_keys; do
		_procd_kind "$key"
		case $_procd_type in
		table) eval "text=\$text,\\\"\$key\\\":{\$_procd_v_$key}" ;;
		array | list) eval "text=\$text,\\\"\$key\\\":[\$_procd_v_$key]" ;;
		*) eval "text=\$text,\\\"\$key\\\":\$_procd_v_$key" ;;
		esac
	done
	_procd_instances=$_procd_instances${_procd_instances:+,}$_procd_instance:"{${text#,}}"
	_procd_instance=
}

procd_add_instance() { # COMMAND...
	procd_open_instance
	procd_set_param command "$@"
	procd_close_instance
}

# What /etc/config/system says, asked once for a script
_procd_respawn_defaults() {
	if [ -z "${_procd_respawn:-}" ]; then
		_procd_respawn='"3600","5","5"'
		if [ -f "$_procd_root/etc/config/system" ] && command -v uci_get >/dev/null; then
			local key value default
			_procd_respawn=
			for key in threshold=3600 timeout=5 retry=5; do
				default=${key#*=}
				value=$(uci_get system '@service[0]' "respawn_${key%=*}" "$default") || :
				_procd_quote "${value:-$default}"
				_procd_respawn=$_procd_respawn${_procd_respawn:+,}$_procd_q
			done
		fi
	fi
	_procd_v_respawn=$_procd_respawn
}

# --- parameters

# _procd_kind KEY: leave the shape of a parameter in _procd_type, or fail for one that is not known
_procd_kind() {
	case $1 in
	command | netdev | file | respawn | watch | watchdog | error) _procd_type=array ;;
	env | data | limits | cgroup) _procd_type=table ;;
	nice | term_timeout) _procd_type=int ;;
	reload_signal) _procd_type=signal ;;
	pidfile | user | group | seccomp | seccomp_mode | seccomp_log | capabilities | facility) _procd_type=string ;;
	extroot | overlaydir | tmpoverlaysize | bundle | vrf) _procd_type=string ;;
	stdout | stderr | no_new_privs | seccomp_notify) _procd_type=bool ;;
	trace | jail) _procd_type=made ;; # by other functions than procd_set_param
	triggers) _procd_type=list ;;
	*) return 1 ;;
	esac
}

_procd_has() {
	case " $_procd_keys " in
	*" $1 "*) ;;
	*) return 1 ;;
	esac
}

# _procd_begin KEY: an empty value, in its place among the others
_procd_begin() {
	_procd_has "$1" || _procd_keys="$_procd_keys $1"
	eval "_procd_v_$1="
}

# _procd_join KEY JSON: one more element of an array or a table
_procd_join() {
	eval "_procd_v_$1=\$_procd_v_$1\${_procd_v_$1:+,}\$2"
}

procd_set_param() { # KEY [VALUE...]
	_procd_is_settable "$1" || return
	_procd_begin "$1"
	_procd_put_value "v_$1" "$@"
}

procd_append_param() { # KEY VALUE...
	_procd_is_settable "$1" || return
	_procd_has "$1" || _procd_begin "$1"
	_procd_put_value "v_$1" "$@"
}

_procd_is_settable() {
	if [ -z "$_procd_instance" ]; then
		_procd_warn "parameter $1 outside of an instance"
		return 1
	fi
	if ! _procd_kind "$1" || [ "$_procd_type" = made ] || [ "$_procd_type" = list ]; then
		_procd_unknown parameter "$1"
		return 1
	fi
}

# Into _procd_VARIABLE, in the shape of _procd_type
_procd_put_value() { # VARIABLE KEY VALUE...
	local variable=$1 key=$2 value name all
	shift 2
	eval "all=\$_procd_$variable"
	case $_procd_type in
	array)
		for value; do
			_procd_quote "$value"
			all=$all${all:+,}$_procd_q
		done
		;;
	table)
		for value; do
			case $value in
			?*=*) ;;
			'') continue ;; # a variable that was empty
			*)
				_procd_not_a_pair "$key" "$value"
				continue
				;;
			esac
			_procd_quote "${value%%=*}"
			name=$_procd_q
			_procd_quote "${value#*=}"
			all=$all${all:+,}$name:$_procd_q
		done
		;;
	int) _procd_int "${1:-}" ;;
	signal) _procd_signal "${1:-}" ;;
	bool) _procd_bool "$key" "${1:-}" ;;
	string)
		_procd_quote "${1:-}"
		case $key,${1:-} in
		user, | group, | seccomp, | capabilities,) _procd_warn "$key is empty, as if it were not there" ;;
		esac
		;;
	esac
	case $_procd_type in
	array | table) ;;
	*) all=$_procd_q ;;
	esac
	eval "_procd_$variable=\$all"
}

# Without a limit that was asked for a service must not run; without a variable it may
_procd_not_a_pair() { # KEY WORD
	case $1 in
	env | data) _procd_warn "$1: '$2' is not NAME=VALUE and left out" ;;
	*) _procd_refuse "$1: '$2' is not NAME=VALUE" ;;
	esac
}

# What is no number, signal or truth value goes on as a string: initd says what is wrong and does not start it

_procd_int() {
	case ${1#-} in
	'' | *[!0-9]*) _procd_quote "$1" ;;
	0) _procd_q=0 ;;
	0*) _procd_quote "$1" ;;
	*) _procd_q=$1 ;;
	esac
}

_procd_signal() {
	case $1 in
	'' | *[!0-9]*) ;;
	*)
		_procd_int "$1"
		return
		;;
	esac
	# the system's own numbers, for mips has others; dash's kill does not know them, the program does
	_procd_q=$(kill -l "${1#SIG}" 2>/dev/null || env kill -l "${1#SIG}" 2>/dev/null) || :
	case $_procd_q in
	'' | *[!0-9]*) _procd_quote "$1" ;;
	esac
}

_procd_bool() {
	case $2 in
	1 | true | yes | on | enabled) _procd_q=true ;;
	0 | false | no | off | disabled) _procd_q=false ;;
	'')
		_procd_q=false
		# the protection was asked for, and the value forgotten
		[ "$1" != no_new_privs ] || _procd_q=true
		;;
	*) _procd_quote "$2" ;;
	esac
}
