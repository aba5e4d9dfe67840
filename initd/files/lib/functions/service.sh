# SPDX-License-Identifier: MIT
# shellcheck shell=dash # the nearest to BusyBox ash that shellcheck 0.9 knows
# service_*: for scripts that start their daemons themselves, with start-stop-daemon and the SERVICE_* variables.

# Set by a script before a call: SERVICE_DAEMONIZE (put it into the background), SERVICE_WRITE_PID (write its pid file),
# SERVICE_MATCH_EXEC, SERVICE_MATCH_NAME, SERVICE_NAME, SERVICE_PID_FILE, SERVICE_UID, SERVICE_GID, SERVICE_DEBUG,
# SERVICE_QUIET, SERVICE_SIG, SERVICE_SIG_RELOAD, SERVICE_SIG_STOP, SERVICE_STOP_TIME, SERVICE_USE_PID.
unset SERVICE_DAEMONIZE SERVICE_WRITE_PID SERVICE_MATCH_EXEC SERVICE_MATCH_NAME SERVICE_NAME SERVICE_PID_FILE SERVICE_UID \
	SERVICE_GID SERVICE_DEBUG SERVICE_SIG SERVICE_USE_PID SERVICE_STOP_TIME
# shellcheck disable=SC2034 # scripts look at it
SERVICE_QUIET=1
SERVICE_SIG_RELOAD=HUP
SERVICE_SIG_STOP=TERM
SERVICE_STOP_TIME=5

# service -S|-K PROGRAM [ARGUMENT...]: start-stop-daemon, with what the variables say about which process
service() {
	local mode=$1 program=$2 name
	name=${SERVICE_NAME:-${program##*/}}
	shift 2
	set -- -x "$program" -- "$@"
	[ -z "${SERVICE_MATCH_NAME:-}" ] || set -- -n "$name" "$@"
	if [ -n "${SERVICE_USE_PID:-}${SERVICE_WRITE_PID:-}" ]; then
		set -- -p "${SERVICE_PID_FILE:-${IPKG_INSTROOT:-${STOCKADE_ROOT:-}}/var/run/$name.pid}" "$@"
	fi
	if [ "$mode" = -K ]; then
		set -- -s "${SERVICE_SIG:-$SERVICE_SIG_STOP}" "$@"
	else
		[ -z "${SERVICE_UID:-}" ] || set -- -c "$SERVICE_UID${SERVICE_GID:+:$SERVICE_GID}" "$@"
		[ -z "${SERVICE_WRITE_PID:-}" ] || set -- -m "$@"
		[ -z "${SERVICE_DAEMONIZE:-}" ] || set -- -b "$@"
	fi
	[ -n "${SERVICE_DEBUG:-}" ] || set -- -q "$@"
	start-stop-daemon "$mode" "$@"
}

service_check() { # PROGRAM: does it run?
	SERVICE_SIG=0 service -K "$1"
}

service_start() { # PROGRAM [ARGUMENT...]
	service -S "$@"
}

service_signal() { # PROGRAM
	SERVICE_SIG=${SERVICE_SIG:-USR1} service -K "$1"
}

service_reload() { # PROGRAM
	SERVICE_SIG=$SERVICE_SIG_RELOAD service -K "$1"
}

service_stop() { # PROGRAM: TERM, and KILL for one that is still there after SERVICE_STOP_TIME
	local left=${SERVICE_STOP_TIME:-5}
	SERVICE_SIG=$SERVICE_SIG_STOP service -K "$1" || return
	while service_check "$1"; do
		left=$((left - 1))
		[ "$left" -ge 0 ] || break
		sleep 1
	done
	! service_check "$1" || SERVICE_SIG=KILL service -K "$1"
}
