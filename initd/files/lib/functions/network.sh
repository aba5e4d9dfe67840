# SPDX-License-Identifier: MIT
# shellcheck shell=dash # the nearest to BusyBox ash that shellcheck 0.9 knows
# network_*: what `ubus call network.interface dump` says about interfaces, asked once until network_flush_cache. Each
# function leaves its answer in a variable and fails, with the variable empty, if there is none.
# shellcheck disable=SC2154 # json_get_var sets

# shellcheck source=/dev/null
command -v json_load >/dev/null || . "${IPKG_INSTROOT:-${STOCKADE_ROOT:-}}/usr/share/libubox/jshn.sh"

_network_is_loaded=

network_flush_cache() { _network_is_loaded=; }

# _network_each FUNCTION [ARGUMENT...]: with each interface selected in turn, until one succeeds
_network_each() {
	local _network_text _network_namespace _network_key _network_keys _network_status=1
	json_set_namespace network _network_namespace
	if [ -z "$_network_is_loaded" ]; then
		_network_text=$(ubus call network.interface dump 2>/dev/null) || _network_text=
		json_load "${_network_text:-{\}}"
		_network_is_loaded=1
	fi
	json_select
	if json_is_a interface array; then
		json_select interface
		json_get_keys _network_keys
		for _network_key in $_network_keys; do
			json_select
			json_select interface
			json_select "$_network_key"
			if "$@"; then
				_network_status=0
				break
			fi
		done
	fi
	json_set_namespace "$_network_namespace"
	return $_network_status
}

# Go down a path of names and indices below the selected interface
_network_go() {
	local step type
	for step; do
		json_get_type type "$step" && case $type in object | array) ;; *) false ;; esac || return
		json_select "$step"
	done
}

_network_is() { # INTERFACE
	local name
	json_get_var name interface && [ "$name" = "$1" ]
}

# _network_read VARIABLE INTERFACE NAME STEP...: one value
_network_read() {
	local _network_variable=$1 _network_value=
	_network_each _network_one "$2" "$3" "$4" ${5:+"$5"} ${6:+"$6"} || :
	eval "$_network_variable=\$_network_value"
	[ -n "$_network_value" ]
}

_network_one() { # INTERFACE NAME STEP...
	local _network_name=$2
	_network_is "$1" || return
	shift 2
	[ -z "$1" ] || _network_go "$@" || return
	json_get_var _network_value "$_network_name"
}

# _network_addresses VARIABLE INTERFACE LIST [/]: all addresses, or with "/" subnets
_network_addresses() {
	local _network_variable=$1 _network_value=
	_network_each _network_collect "$2" "$3" "${4:-}" || :
	eval "$_network_variable=\$_network_value"
	[ -n "$_network_value" ]
}

_network_collect() { # INTERFACE LIST [/]
	local keys key address mask
	_network_is "$1" && _network_go "$2" || return
	json_get_keys keys
	for key in $keys; do
		if json_is_a "$key" object; then
			json_select "$key"
			json_get_var address address
			json_get_var mask mask || :
			[ -z "${3:-}" ] || address=$address/$mask
			json_select ..
		else
			json_get_var address "$key"
		fi
		_network_value="$_network_value${_network_value:+ }$address"
	done
}

network_get_ipaddr() { _network_read "$1" "$2" address ipv4-address 1; }    # VARIABLE INTERFACE
network_get_ipaddrs() { _network_addresses "$1" "$2" ipv4-address; }        # VARIABLE INTERFACE
network_get_ipaddrs6() { _network_addresses "$1" "$2" ipv6-address; }       # VARIABLE INTERFACE
network_get_subnets() { _network_addresses "$1" "$2" ipv4-address /; }      # VARIABLE INTERFACE
network_get_subnets6() { _network_addresses "$1" "$2" ipv6-address /; }     # VARIABLE INTERFACE
network_get_prefixes6() { _network_addresses "$1" "$2" ipv6-prefix /; }     # VARIABLE INTERFACE
network_get_dnsserver() { _network_addresses "$1" "$2" dns-server; }        # VARIABLE INTERFACE
network_get_dnssearch() { _network_addresses "$1" "$2" dns-search; }        # VARIABLE INTERFACE
network_get_device() { _network_read "$1" "$2" l3_device ''; }              # VARIABLE INTERFACE
network_get_physdev() { _network_read "$1" "$2" device ''; }                # VARIABLE INTERFACE
network_get_protocol() { _network_read "$1" "$2" proto ''; }                # VARIABLE INTERFACE
network_get_metric() { _network_read "$1" "$2" metric ''; }                 # VARIABLE INTERFACE
network_get_uptime() { _network_read "$1" "$2" uptime ''; }                 # VARIABLE INTERFACE

network_get_ipaddr6() { # VARIABLE INTERFACE: an address, or what a delegated prefix gives
	_network_read "$1" "$2" address ipv6-address 1 ||
		_network_read "$1" "$2" address ipv6-prefix-assignment 1 local-address
}

_network_subnet() { # VARIABLE INTERFACE LIST
	local _network_all
	_network_addresses _network_all "$2" "$3" / || :
	eval "$1=\${_network_all%% *}"
	[ -n "$_network_all" ]
}

network_get_subnet() { _network_subnet "$1" "$2" ipv4-address; }  # VARIABLE INTERFACE
network_get_subnet6() { _network_subnet "$1" "$2" ipv6-address; } # VARIABLE INTERFACE
network_get_prefix6() { _network_subnet "$1" "$2" ipv6-prefix; }  # VARIABLE INTERFACE

network_is_up() { # INTERFACE
	local up
	_network_read up "$1" up '' && [ "$up" = 1 ]
}

# _network_route TARGET FIELD [INTERFACE]: of the default route, into _network_value
_network_route() {
	local keys key target mask name
	if [ -n "${3:-}" ]; then
		_network_is "$3" || return
	fi
	json_get_var name interface
	_network_go route || return
	json_get_keys keys
	for key in $keys; do
		json_select "$key"
		json_get_var target target || :
		json_get_var mask mask || :
		if [ "$target/$mask" = "$1/0" ]; then
			if [ "$2" = interface ]; then _network_value=$name; else json_get_var _network_value "$2"; fi
			return
		fi
		json_select ..
	done
	return 1
}

_network_default() { # VARIABLE TARGET FIELD [INTERFACE]
	local _network_variable=$1 _network_value=
	_network_each _network_route "$2" "$3" "${4:-}" || :
	eval "$_network_variable=\$_network_value"
	[ -n "$_network_value" ]
}

network_get_gateway() { _network_default "$1" 0.0.0.0 nexthop "$2"; } # VARIABLE INTERFACE
network_get_gateway6() { _network_default "$1" :: nexthop "$2"; }     # VARIABLE INTERFACE
network_find_wan() { _network_default "$1" 0.0.0.0 interface; }       # VARIABLE
network_find_wan6() { _network_default "$1" :: interface; }           # VARIABLE
