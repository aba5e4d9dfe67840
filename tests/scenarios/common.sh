# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Read by the scenarios: a directory of their own that goes with everything they started.
#
# A scenario is called with the words that start a jail, `ujail -S policy` for a test and `utrace --jail … -- ujail`
# to make one, and adds the daemon and its options. It exits non-zero when the daemon fails it.
set -eu

[ $# -gt 0 ] || { echo "usage: $0 UJAIL [OPTION]..." >&2; exit 2; }
# shellcheck disable=SC2034 # where the daemons are that this machine only has unpacked (tests/guest/borrowed.py)
DEBIAN=${SCENARIO_DEBIAN:-}
T=$(mktemp -d)
chmod 755 "$T"
PIDS=
JAIL=

# What nothing should need; a guest, which is slow, has five times as long
LIMIT_S=${STOCKADE_GUEST:+100}
LIMIT_S=${LIMIT_S:-20}

# The one way to wait: try a command until it succeeds, for half of that or as long as the jail is there
await() {
	tries=$((LIMIT_S * 10))
	until "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		if [ $tries = 0 ] || { [ -n "$JAIL" ] && gone "$JAIL"; }; then
			echo "gave up waiting for: $*" >&2
			return 1
		fi
		sleep 0.05
	done
}

expect() { # what a command prints must contain a text
	text=$1
	shift
	got=$("$@" 2>&1) || :
	case $got in
	*"$text"*) ;;
	*) echo "no '$text' from: $*" >&2; echo "$got" >&2; return 1 ;;
	esac
}

gone() { ! kill -0 "$1" 2>/dev/null; }

# serve WORD...: start a jail with these words, and wait for its pid
serve() {
	rm -f "$T/pid"
	"$@" 2>>"$T/log" &
	JAIL=$!
	PIDS="$JAIL $PIDS"
	await test -s "$T/pid"
}

signal() { kill "-$1" "$(cat "$T/pid")"; }

# held UID CAPABILITIES: the service's process, or a given one, is that user with those effective capabilities, by
# their hexadecimal mask, in a jail, and behind as many doors as the test says there are
held() {
	pid=${3:-$(cat "$T/pid")}
	expect "	$1	$1	$1	$1" grep ^Uid: "/proc/$pid/status"
	expect "$2" grep ^CapEff: "/proc/$pid/status"
	expect 1 grep ^NoNewPrivs: "/proc/$pid/status"
	expect 2 grep ^Seccomp: "/proc/$pid/status"
	[ -z "${SCENARIO_DOORS:-}" ] || expect "	$SCENARIO_DOORS" grep ^Seccomp_filters: "/proc/$pid/status"
	for kind in mnt pid ipc uts; do
		[ "$(readlink "/proc/$pid/ns/$kind")" != "$(readlink "/proc/self/ns/$kind")" ]
	done
}

# refused STATUS WORD...: a start that fails by itself, with a status
refused() {
	wanted=$1 status=0
	shift
	("$@") >>"$T/log" 2>&1 || status=$?
	[ "$status" = "$wanted" ] || { echo "status $status instead of $wanted from: $*" >&2; return 1; }
}

# End the service, by TERM if no other signal is given, and expect the status of what ran it
finish() {
	status=0
	signal "${2:-TERM}"
	wait "$JAIL" || status=$?
	JAIL=
	[ "$status" = "$1" ] || { echo "the jail ended with $status instead of $1" >&2; return 1; }
}

clean_up() {
	status=$?
	trap '' INT TERM HUP
	ended=$JAIL
	JAIL=
	# what started a service that has ended by itself is about to say why
	if [ -n "$ended" ] && [ -s "$T/pid" ] && gone "$(cat "$T/pid")"; then await gone "$ended" || :; fi
	for pid in $PIDS; do kill -TERM "$pid" 2>/dev/null || :; done
	for pid in $PIDS; do await gone "$pid" 2>/dev/null || kill -KILL "$pid" 2>/dev/null || :; done
	[ "$status" = 0 ] || [ ! -s "$T/log" ] || cat "$T/log" >&2
	rm -rf "$T"
	exit "$status"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
