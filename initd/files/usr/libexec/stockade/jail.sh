# SPDX-License-Identifier: MIT
# shellcheck shell=dash # the nearest to BusyBox ash that shellcheck 0.9 knows
# The jail of an instance, and what is done about words that are not known. Part of procd.sh.
# shellcheck disable=SC2154 # variables of procd.sh
# shellcheck disable=SC2034 # _procd_v_jail is read through eval

_procd_jail_flags='log ubus udebug procfs sysfs ronly requirejail netns userns cgroupsns shared'
# parameters by shape, the same as in initd/jailparams.py
_procd_jail_arrays='bind dev mask tmpfs uidmap gidmap net net_bind net_connect'
_procd_jail_tables=
_procd_jail_strings='umask oom_score_adj ioprio proc'
_procd_jail_bools='no_default_filter allow_userns'

procd_add_jail() { # NAME FLAG...
	if [ -z "$_procd_instance" ]; then
		_procd_warn "procd_add_jail outside of an instance"
		return 1
	fi
	_procd_begin jail
	_procd_quote "$1"
	_procd_jail=\"name\":$_procd_q
	_procd_mounts=
	_procd_setns=
	_procd_jail_keys=
	shift
	local flag
	for flag; do
		case $flag in
		*[[:space:]]*)
			# in quotes; without all of them there may be no namespace at all
			_procd_refuse "jail flag '$flag' is several words"
			continue
			;;
		esac
		case " $_procd_jail_flags " in
		*" $flag "*) _procd_jail=$_procd_jail,\"$flag\":true ;;
		*) _procd_unknown 'jail flag' "$flag" ;;
		esac
	done
	_procd_put_jail
}

_procd_put_jail() {
	local key IFS=' ' # the script may have another, and what is not split is lost
	_procd_v_jail="{$_procd_jail"
	for key in $_procd_jail_keys; do
		_procd_jail_kind "$key"
		case $_procd_type in
		array) eval "_procd_v_jail=\$_procd_v_jail,\\\"\$key\\\":[\$_procd_j_$key]" ;;
		table) eval "_procd_v_jail=\$_procd_v_jail,\\\"\$key\\\":{\$_procd_j_$key}" ;;
		*) eval "_procd_v_jail=\$_procd_v_jail,\\\"\$key\\\":\$_procd_j_$key" ;;
		esac
	done
	[ -z "$_procd_mounts" ] || _procd_v_jail="$_procd_v_jail,\"mount\":{$_procd_mounts}"
	[ -z "$_procd_setns" ] || _procd_v_jail="$_procd_v_jail,\"setns\":[$_procd_setns]"
	_procd_v_jail="$_procd_v_jail}"
}

# _procd_jail_kind KEY: leave the shape of a jail's parameter in _procd_type, or fail
_procd_jail_kind() {
	case " $1 " in
	' hostname ' | ' pidfile ') _procd_type=string ;;
	' console ' | ' immediately ') _procd_type=bool ;;
	' setns ') _procd_type=setns ;;
	*)
		case $1 in '' | *' '*) return 1 ;; esac
		case " $_procd_jail_arrays " in *" $1 "*) _procd_type=array && return ;; esac
		case " $_procd_jail_tables " in *" $1 "*) _procd_type=table && return ;; esac
		case " $_procd_jail_strings " in *" $1 "*) _procd_type=string && return ;; esac
		case " $_procd_jail_bools " in *" $1 "*) _procd_type=bool && return ;; esac
		return 1
		;;
	esac
}

# Not in OpenWrt, see procd.sh(7)
procd_set_jail_param() { _procd_jail_param set "$@"; }       # KEY [VALUE...]
procd_append_jail_param() { _procd_jail_param append "$@"; } # KEY VALUE...

_procd_jail_param() { # set|append KEY VALUE...
	local how=$1 key=${2:-}
	if [ -z "$_procd_instance" ]; then
		_procd_warn "jail parameter $key outside of an instance"
		return 1
	fi
	if ! _procd_has jail; then
		_procd_refuse "jail parameter $key without a jail"
		return 1
	fi
	if ! _procd_jail_kind "$key"; then
		_procd_unknown 'jail parameter' "$key"
		return 1
	fi
	shift 2
	if [ "$_procd_type" = setns ]; then
		_procd_add_setns "$@"
	else
		case " $_procd_jail_keys " in
		*" $key "*) [ "$how" = append ] || eval "_procd_j_$key=" ;;
		*)
			_procd_jail_keys="$_procd_jail_keys $key"
			eval "_procd_j_$key="
			;;
		esac
		[ "$_procd_type$#" != bool0 ] || set -- 1
		_procd_put_value "j_$key" "$key" "$@"
	fi
	_procd_put_jail
}

_procd_add_setns() { # PID|NAME NAMESPACE...
	_procd_int "${1:-}"
	local target=$_procd_q
	[ $# = 0 ] || shift
	_procd_strings "$@"
	_procd_setns="$_procd_setns${_procd_setns:+,}{\"pid\":$target,\"namespaces\":[$_procd_q]}"
}

# Not in OpenWrt: KIND:NAME [KEY=VALUE...], or bind|connect PROTOCOL:PORT...
procd_add_jail_net() {
	local device
	case ${1:-} in
	bind | connect)
		local key=net_$1
		shift
		_procd_jail_param append "$key" "$@"
		;;
	*)
		device=${1:-}
		[ $# = 0 ] || shift
		while [ $# -gt 0 ]; do
			device=$device,$1
			shift
		done
		_procd_jail_param append net "$device"
		;;
	esac
}

procd_add_jail_mount() { _procd_mount 0 "$@"; }    # PATH...
procd_add_jail_mount_rw() { _procd_mount 1 "$@"; } # PATH...

# Words may hold several paths, as in OpenWrt; patterns in them are not looked up
_procd_mount() { # 0|1 PATH...
	_procd_has jail || return 0
	local mode=$1 path restore=
	shift
	case $- in
	*f*) ;;
	*)
		restore=1
		set -f
		;;
	esac
	# shellcheck disable=SC2068
	for path in $@; do
		_procd_quote "$path"
		_procd_mounts="$_procd_mounts${_procd_mounts:+,}$_procd_q:\"$mode\""
	done
	[ -z "$restore" ] || set +f
	_procd_put_jail
}

# --- unknown words

# A word that is close to a protection must not be passed over: the service would run without it
_procd_protections='user group limits cgroup seccomp seccomp_mode capabilities no_new_privs extroot jail'
_procd_protections="$_procd_protections ronly requirejail netns userns cgroupsns hostname setns"
_procd_others='command env data netdev file respawn watch watchdog error nice term_timeout reload_signal pidfile facility'
_procd_others="$_procd_others overlaydir tmpoverlaysize bundle stdout stderr vrf log ubus udebug procfs sysfs console"
_procd_others="$_procd_others immediately seccomp_log"

_procd_unknown() { # WHAT WORD
	local word plain IFS=' '
	plain=$(printf '%s' "$2" | tr 'A-Z-' 'a-z_' | tr -d _)
	for word in $_procd_protections $_procd_jail_arrays $_procd_jail_tables $_procd_jail_strings $_procd_jail_bools; do
		if _procd_is_near "$plain" "$word"; then
			_procd_refuse "unknown $1 '$2', did you mean '$word'?"
			return
		fi
	done
	for word in $_procd_others; do
		if _procd_is_near "$plain" "$word"; then
			# a jail with one flag less may be one with no namespace at all
			if [ "$1" = 'jail flag' ]; then
				_procd_refuse "unknown $1 '$2', did you mean '$word'?"
			else
				_procd_warn "unknown $1 '$2' is left out, did you mean '$word'?"
			fi
			return
		fi
	done
	_procd_warn "unknown $1 '$2' is left out"
}

# One letter more, less, other or swapped; case, "-" and "_" do not count, and a long word may go on
_procd_is_near() { # WORD KNOWN
	local a=$1 b=$2 first
	while :; do
		case $b in
		*_*) b=${b%%_*}${b#*_} ;;
		*) break ;;
		esac
	done
	[ "$a" != "$b" ] || return 0
	case $a in
	"$b"* | *"$b") [ ${#b} -lt 6 ] || return 0 ;;
	esac
	[ ${#b} -gt 3 ] || return 1
	while [ -n "$a" ] && [ -n "$b" ]; do
		first=${a%"${a#?}"}
		case $b in "$first"*) ;; *) break ;; esac
		a=${a#?} b=${b#?}
	done
	while [ -n "$a" ] && [ -n "$b" ]; do
		first=${a#"${a%?}"}
		case $b in *"$first") ;; *) break ;; esac
		a=${a%?} b=${b%?}
	done
	[ ${#a} -le 1 ] && [ ${#b} -le 1 ] && return
	[ ${#a} = 2 ] && [ "${a#?}${a%?}" = "$b" ]
}
