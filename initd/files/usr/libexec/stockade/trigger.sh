# SPDX-License-Identifier: MIT
# shellcheck shell=dash # the nearest to BusyBox ash that shellcheck 0.9 knows
# When a service is to be called again: [event, script, delay in ms]. Part of procd.sh.
# shellcheck disable=SC2154 # variables of procd.sh

# In the environment for all scripts, or in one script; 0 for no delay
PROCD_RELOAD_DELAY=${PROCD_RELOAD_DELAY-1000}

# Opening and closing may be nested or left out: a trigger belongs to the open instance, or else to the service
procd_open_trigger() { :; }
procd_close_trigger() { :; }

_procd_trigger() { # EVENT SCRIPT DELAY
	_procd_quote "$1"
	local element="[$_procd_q,$2"
	if [ "${3:-0}" != 0 ]; then
		_procd_int "$3"
		element=$element,$_procd_q
	fi
	if [ -z "$_procd_instance" ]; then
		_procd_triggers=$_procd_triggers${_procd_triggers:+,}$element]
	else
		_procd_has triggers || _procd_begin triggers
		_procd_join triggers "$element]"
	fi
}

# _procd_run COMMAND...: in _procd_q
_procd_run() {
	_procd_strings run_script "$@"
	_procd_q="[$_procd_q]"
}

# _procd_if_equal EVENT KEY VALUE COMMAND...
_procd_if_equal() {
	local event=$1 condition
	_procd_strings eq "$2" "$3"
	condition="[\"if\",[$_procd_q],"
	shift 3
	_procd_run "$@"
	_procd_trigger "$event" "$condition$_procd_q]" "$PROCD_RELOAD_DELAY"
}

procd_add_raw_trigger() { # EVENT DELAY COMMAND...
	local event=$1 delay=$2
	shift 2
	_procd_run "$@"
	_procd_trigger "$event" "[$_procd_q]" "$delay"
}

procd_add_config_trigger() { # EVENT PACKAGE COMMAND...
	local event=$1 package=$2
	shift 2
	_procd_if_equal "$event" package "$package" "$@"
}

procd_add_reload_trigger() { # PACKAGE...
	local package
	for package; do
		procd_add_config_trigger config.change "$package" "$_procd_root/etc/init.d/$_procd_service" reload
	done
}

procd_add_interface_trigger() { # EVENT INTERFACE COMMAND...
	local event=$1 interface=$2
	shift 2
	_procd_if_equal "$event" interface "$interface" "$@"
}

procd_add_reload_interface_trigger() { # INTERFACE
	procd_add_interface_trigger 'interface.*' "$1" "$_procd_root/etc/init.d/$_procd_service" reload
}

procd_add_reload_data_trigger() { # SERVICE...
	local name
	for name; do
		_procd_if_equal service.data.update name "$name" "$_procd_root/etc/init.d/$_procd_service" reload
	done
}

procd_add_mount_trigger() { # EVENT ACTION TARGET...
	local event=$1 action=$2 target all=
	shift 2
	for target; do
		_procd_strings eq target "$target"
		all="$all${all:+,}[$_procd_q]"
	done
	[ $# -gt 0 ] || return 0
	[ $# = 1 ] || all="[\"or\",$all]"
	_procd_run "$_procd_root/etc/init.d/$_procd_service" "$action"
	_procd_trigger "$event" "[\"if\",$all,$_procd_q]" "$PROCD_RELOAD_DELAY"
}

procd_add_action_mount_trigger() { # ACTION PATH...
	local action=$1 mountpoints
	shift
	mountpoints=$(procd_get_mountpoints "$@")
	local IFS='
'
	# shellcheck disable=SC2086 # a mount point in each line
	[ -z "$mountpoints" ] || procd_add_mount_trigger mount.add "$action" $mountpoints
}

procd_add_reload_mount_trigger() { procd_add_action_mount_trigger reload "$@"; }   # PATH...
procd_add_restart_mount_trigger() { procd_add_action_mount_trigger restart "$@"; } # PATH...

# Print the mount points of /etc/config/fstab that the paths lie below
procd_get_mountpoints() ( # PATH...
	config_load fstab
	config_foreach _procd_mountpoint mount "$@" | sort -u
)

_procd_mountpoint() { # SECTION PATH...
	local target enabled path
	config_get target "$1" target
	config_get_bool enabled "$1" enabled 1
	[ "$enabled" = 1 ] || return 0
	shift
	target=${target%/} # there is no event for the root
	[ -n "$target" ] || return 0
	for path; do
		case "$path/" in
		"$target"/*) echo "$target" && return ;;
		esac
	done
}
