# SPDX-License-Identifier: MIT
# shellcheck shell=dash # the nearest to BusyBox ash that shellcheck 0.9 knows
# What a service tells others about itself: data of an open instance, or else of the service. Part of procd.sh. Scripts
# write it with json_add_*, the system's or ours, each kind in a namespace of its own.
# shellcheck disable=SC2154 # variables of procd.sh

procd_open_data() {
	# shellcheck source=/dev/null
	command -v json_init >/dev/null || . "$_procd_root/usr/share/libubox/jshn.sh"
	if [ -n "$_procd_instance" ]; then
		json_set_namespace procd_instance_data _procd_namespace
		[ -n "$_procd_instance_data" ] || json_init
		_procd_instance_data=open
	else
		json_set_namespace procd_service_data _procd_namespace
		[ -n "$_procd_service_data" ] || json_init
		_procd_service_data=open
	fi
	json_select
}

procd_close_data() {
	json_set_namespace "$_procd_namespace"
}

# _procd_collect_data VARIABLE: replace "open" with the members that were written
_procd_collect_data() {
	local was text
	eval "[ \"\$$1\" = open ]" || return 0
	json_set_namespace "procd_${1#_procd_}" was
	text=$(json_dump)
	json_set_namespace "$was"
	text=${text#*\{}
	text=${text%\}*}
	case $text in
	*[!\ ]*) ;;
	*) text= ;;
	esac
	eval "$1=\$text"
}

procd_add_mdns() { # SERVICE PROTOCOL PORT [TXT...]
	procd_open_data
	json_select mdns 2>/dev/null || json_add_object mdns
	procd_add_mdns_service "$@"
	json_close_object
	procd_close_data
}

procd_add_mdns_service() { # SERVICE PROTOCOL PORT [TXT...]
	local text
	json_add_object "$1_$3"
	json_add_string service "_$1._$2.local"
	json_add_int port "$3"
	if [ $# -gt 3 ]; then
		shift 3
		json_add_array txt
		for text; do
			json_add_string '' "$text"
		done
		json_close_array
	fi
	json_close_object
}
