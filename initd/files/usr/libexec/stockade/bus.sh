# SPDX-License-Identifier: MIT
# shellcheck shell=dash # the nearest to BusyBox ash that shellcheck 0.9 knows
# Telling initd and asking it. Part of procd.sh; the command is the system's `ubus`, or ours.
# shellcheck disable=SC2154 # variables of procd.sh

_procd_locked=

# One script at a time for each service. A script called by one that holds the lock has it already. 1000 is the number
# that scripts know and close; a shell that takes it for a word (dash) gets 9. Not in /var/lock, which on many systems
# everybody may write: who puts a link there chooses the file that root opens here. A service that may write /var/run can
# still do so: by <> the file is not emptied, and a FIFO waits for no reader.
procd_lock() {
	local lock=$_procd_root/var/run/procd_${_procd_service:-$(basename "${initscript:-$0}")}.lock fd=1000
	[ -d "${lock%/*}" ] || mkdir -p "${lock%/*}" || exit 1
	# shellcheck disable=SC3023 # that is the question
	set -- 1000>/dev/null
	[ $# = 0 ] || fd=9
	if ! [ "/proc/self/fd/$fd" -ef "$lock" ]; then
		if [ -e "$lock" ]; then [ -w "$lock" ]; else [ -w "${lock%/*}" ]; fi || _procd_is_root "must be run as root" ||
			exit 1
		eval "exec $fd<>\"\$lock\"" || exit 1
		_procd_locked=$fd
	fi
	if ! command -v flock >/dev/null; then
		_procd_warn "there is no flock, so that two scripts may run at once"
	elif ! flock $fd; then
		_procd_warn "cannot lock $lock"
		exit 1
	fi
}

# Whether root runs the script; if not, WHAT is said to have been the matter
_procd_is_root() { # WHAT
	[ "$(id -u)" = 0 ] || {
		echo "${_procd_service:-procd.sh}: $1" >&2
		return 1
	}
}

# At the end, for what the script has left in the background has the descriptor as well
_procd_unlock() {
	[ -z "$_procd_locked" ] || flock -u "$_procd_locked" 2>/dev/null || :
	_procd_locked=
}

_procd_ubus() { # METHOD JSON [OBJECT]
	[ -z "${PROCD_DEBUG:-}" ] || printf '%s\n' "$2" >&2
	if [ -n "${IPKG_INSTROOT:-}" ]; then
		echo "${_procd_service:-procd.sh}: nothing is started or stopped in an image" >&2
		return 0
	fi
	ubus call service "$1" "$2" || {
		# what a user may not see is not there; 255: nor is there a bus
		set -- $?
		[ "$1" = 255 ] || _procd_is_root "must be run as root, or by who is granted it in /usr/share/acl.d" || :
		return "$1"
	}
}

# _procd_call METHOD SERVICE [INSTANCE [MEMBERS]]: of a service, or of one instance
_procd_call() {
	_procd_quote "$2"
	local json="{\"name\":$_procd_q"
	case ${3:-*} in
	'*') ;;
	*)
		_procd_quote "$3"
		json=$json,\"instance\":$_procd_q
		;;
	esac
	_procd_ubus "$1" "$json${4:-}}"
}

procd_kill() { # SERVICE [INSTANCE]
	local answer status
	answer=$(_procd_call delete "$1" "${2:-}")
	status=$?
	[ -z "$answer" ] || _procd_wait_for_traces "$1" "$answer"
	return $status
}

_procd_traces() { # SERVICE ANSWER: the files in it
	printf '%s\n' "$2" | LC_ALL=C SERVICE=$1 awk -f "$_procd_libexec/json.awk" -f "$_procd_libexec/traces.awk"
}

# Not every sleep knows less than a second
_procd_pause() { sleep 0.1 2>/dev/null || sleep 1; }

# What was traced has been told to end. Its file is empty until it has, and goes if there is nothing to be written
_procd_wait_for_traces() { # SERVICE ANSWER
	local file tries
	_procd_traces "$1" "$2" | while read -r file; do
		tries=0
		while [ -f "$file" ] && ! [ -s "$file" ] && [ $tries -lt 900 ]; do
			tries=$((tries + 1))
			_procd_pause
		done
		if [ -s "$file" ]; then
			echo "$1: the trace is in $file"
		else
			echo "$1: nothing was written to $file; the log says why" >&2
		fi
	done
}

# Once all instances run that are to be traced: where their traces will be
_procd_say_traces() { # SERVICE
	local answer files status tries=0
	while :; do
		answer=$(_procd_call list "$1") || return
		files=$(_procd_traces "$1" "$answer")
		status=$?
		[ $status = 2 ] && [ $tries -lt 900 ] || break
		tries=$((tries + 1))
		_procd_pause
	done
	[ -n "$files" ] || {
		echo "$1: nothing is traced; the log says why" >&2
		return 1
	}
	printf '%s\n' "$files" | while read -r answer; do
		echo "$1: once it is stopped, the trace is in $answer"
	done
}

procd_send_signal() { # SERVICE [INSTANCE|* [SIGNAL]]
	local signal=
	if [ -n "${3:-}" ]; then
		_procd_signal "$3"
		signal=,\"signal\":$_procd_q
	fi
	_procd_call signal "$1" "${2:-}" "$signal"
}

procd_set_config_changed() { # PACKAGE
	_procd_quote "$1"
	_procd_ubus event "{\"type\":\"config.change\",\"data\":{\"package\":$_procd_q}}"
}

procd_running() { # SERVICE [INSTANCE]
	case $(_procd_state "$1" "${2:-}") in
	running*) ;;
	*) return 1 ;;
	esac
}

# _procd_state SERVICE [INSTANCE [WHY]]: print what `status` prints, and why something does not run
_procd_state() {
	local list
	list=$(_procd_call list "$1") || return
	printf '%s\n' "$list" | LC_ALL=C SERVICE=$1 INSTANCE=${2:-} WHY=${3:-} \
		awk -f "$_procd_libexec/json.awk" -f "$_procd_libexec/state.awk"
}

_procd_status() { # SERVICE [INSTANCE]: print it, and the exit status for it
	local state why
	why=$(_procd_state "$1" "${2:-}" why) || return
	state=${why%%"
"*}
	echo "$state"
	# one word is all that scripts read; a person would have to ask for the rest next
	[ ! -t 2 ] || [ "$why" = "$state" ] || printf '%s\n' "${why#*"
"}" >&2
	case $state in
	running* | active*) ;;
	inactive) return 3 ;;
	unknown*) return 4 ;;
	*) return 5 ;;
	esac
}
