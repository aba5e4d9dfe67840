# SPDX-License-Identifier: MIT
# shellcheck shell=dash # the nearest to BusyBox ash that shellcheck 0.9 knows
# uci_*: the `uci` command where there is one; reading works without it, writing says that it does not.

_uci_root=${IPKG_INSTROOT:-${STOCKADE_ROOT:-}}
_uci_libexec=${STOCKADE_LIBEXEC:-$_uci_root/usr/libexec/stockade}
_uci_directory=${UCI_CONFIG_DIR:-$_uci_root/etc/config}

# The real one with the options that all calls share
_uci() { uci -c "$_uci_directory" "$@"; }

# _uci_awk PACKAGE PROGRAM: run uci.awk and PROGRAM.awk over a package; fail if there is none
_uci_awk() {
	case $1 in
	'' | *[!A-Za-z0-9_.-]*) return 1 ;;
	esac
	if command -v uci >/dev/null; then
		# with names for all sections, and with changes that are not committed
		local _uci_text
		_uci_text=$(_uci -q -n export "$1") || return
		printf '%s\n' "$_uci_text" | LC_ALL=C SOURCE=$1 awk -f "$_uci_libexec/uci.awk" -f "$_uci_libexec/$2.awk"
	else
		[ -r "$_uci_directory/$1" ] || return
		LC_ALL=C SOURCE=$_uci_directory/$1 awk -f "$_uci_libexec/uci.awk" -f "$_uci_libexec/$2.awk" "$_uci_directory/$1"
	fi
}

uci_load() { config_load "$1"; } # PACKAGE

uci_get() { # PACKAGE [SECTION [OPTION [DEFAULT]]]
	local value
	value=$(SECTION=${2:-} OPTION=${3:-} _uci_awk "$1" uci-get) || value=${4:-}
	[ -n "$value" ] || return 1
	printf '%s\n' "$value"
}

# Without `uci`: fail, and say so
_uci_write() {
	if ! command -v uci >/dev/null; then
		echo "there is no uci to change a configuration with: $*" >&2
		return 1
	fi
	_uci "$@"
}

uci_set() { _uci_write set "$1.$2${3:+.$3}=$4"; }                # PACKAGE SECTION OPTION VALUE
uci_add_list() { _uci_write add_list "$1.$2.$3=$4"; }            # PACKAGE SECTION OPTION VALUE
uci_remove_list() { _uci_write del_list "$1.$2.$3=$4"; }         # PACKAGE SECTION OPTION VALUE
uci_rename() { _uci_write rename "$1.$2${4:+.$3}=${4:-$3}"; }    # PACKAGE SECTION [OPTION] NAME
uci_remove() { _uci_write delete "$1${2:+.$2}${3:+.$3}"; }       # PACKAGE [SECTION [OPTION]]
uci_commit() { _uci_write commit ${1:+"$1"}; }                   # [PACKAGE]
uci_revert() { _uci_write revert "$1${2:+.$2}${3:+.$3}"; }       # PACKAGE [SECTION [OPTION]]

uci_add() { # PACKAGE TYPE [NAME]: leaves the name in CONFIG_SECTION
	if [ -n "${3:-}" ]; then
		_uci_write set "$1.$3=$2"
		CONFIG_SECTION=$3
	else
		# shellcheck disable=SC2034 # the caller reads it
		CONFIG_SECTION=$(_uci_write add "$1" "$2")
	fi
}

uci_set_default() { # PACKAGE, text on stdin
	uci_get "$1" >/dev/null && return
	_uci_write import "$1" && _uci_write commit "$1"
}

# States are changes that live in /var/state
uci_get_state() { # PACKAGE [SECTION [OPTION [DEFAULT]]]
	if command -v uci >/dev/null; then
		local value
		value=$(_uci -P "$_uci_root/var/state" -q get "$1${2:+.$2}${3:+.$3}") || value=${4:-}
		printf '%s\n' "$value"
	else
		uci_get "$@"
	fi
}
uci_set_state() { _uci_write -P "$_uci_root/var/state" set "$1.$2${3:+.$3}=$4"; }            # PACKAGE SECTION OPTION VALUE
uci_toggle_state() { uci_revert_state "$1" "$2" "$3" && uci_set_state "$1" "$2" "$3" "$4"; } # PACKAGE SECTION OPTION VALUE
uci_revert_state() { _uci_write -P "$_uci_root/var/state" revert "$1${2:+.$2}${3:+.$3}"; }   # PACKAGE [SECTION [OPTION]]
