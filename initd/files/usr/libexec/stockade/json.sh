# SPDX-License-Identifier: MIT
# shellcheck shell=dash # the nearest to BusyBox ash that shellcheck 0.9 knows
# Strings as JSON, and what is said about a script. Part of procd.sh.
# shellcheck disable=SC2154 # variables of procd.sh

# _procd_quote TEXT: leave it as a JSON string in _procd_q. Bytes that are no UTF-8 stay what they are.
_procd_quote() {
	local LC_ALL=C # bash cuts bytes that are no UTF-8 at other places than it finds them
	case $1 in
	*[\"\\[:cntrl:]]*) _procd_escape "$1" ;;
	*) _procd_q=\"$1\" ;;
	esac
}

_procd_escape() {
	# each cut copies the rest, and the time grows with the square; so long text goes through awk
	if [ ${#1} -gt 512 ]; then
		_procd_q=$(printf '%s.' "$1" | LC_ALL=C awk -f "$_procd_libexec/quote.awk") || exit 1
		_procd_q=\"${_procd_q%.}\"
		return
	fi
	local rest=$1 before char
	_procd_q=
	while :; do
		before=${rest%%[\"\\[:cntrl:]]*}
		_procd_q=$_procd_q$before
		rest=${rest#"$before"}
		[ -n "$rest" ] || break
		char=${rest%"${rest#?}"}
		rest=${rest#?}
		case $char in
		\" | \\) _procd_q=$_procd_q\\$char ;;
		*) _procd_control "$char" ;;
		esac
	done
	_procd_q=\"$_procd_q\"
}

# All of them in order; the letter keeps the shell from dropping anything at the end
_procd_controls=

_procd_control() { # CHARACTER: add it to _procd_q
	: "${_procd_controls:=$(printf '\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20\21\22\23\24\25\26\27\30\31\32\33\34\35\36\37x')}"
	local code=${_procd_controls%%"$1"*}
	case $((${#code} + 1)) in
	9) code='\t' ;;
	10) code='\n' ;;
	13) code='\r' ;;
	11) code='\u000b' ;;
	12) code='\u000c' ;;
	14) code='\u000e' ;;
	15) code='\u000f' ;;
	26) code='\u001a' ;;
	27) code='\u001b' ;;
	28) code='\u001c' ;;
	29) code='\u001d' ;;
	30) code='\u001e' ;;
	31) code='\u001f' ;;
	33) code=$1 ;; # DEL, or one of Unicode's: JSON has them as they are
	[0-9]) code="\\u000$((${#code} + 1))" ;;
	*) code="\\u001$((${#code} + 1 - 16))" ;;
	esac
	_procd_q=$_procd_q$code
}

# _procd_strings WORD...: all as the elements of an array, in _procd_q
_procd_strings() {
	local word all=
	for word; do
		_procd_quote "$word"
		all=$all${all:+,}$_procd_q
	done
	_procd_q=$all
}

# On stderr for who is watching, in the log for who is not: at boot, or when a trigger runs the script
_procd_warn() {
	echo "${_procd_service:-procd.sh}: $1" >&2
	! command -v logger >/dev/null || logger -t "${_procd_service:-procd.sh}" -p daemon.warn "$1" 2>/dev/null || :
}

# _procd_refuse TEXT: the open instance is not to be started, and `service list` is to say why
_procd_refuse() {
	_procd_warn "$1; the instance will not start"
	_procd_quote "$1"
	_procd_errors=$_procd_errors${_procd_errors:+,}$_procd_q
}
