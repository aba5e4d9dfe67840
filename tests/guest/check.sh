#!/bin/sh
# SPDX-License-Identifier: MIT
# What must be so after initd has booted a guest. One line for each check, the run's own token first; then off.
# shellcheck source=tests/guest/words.sh
. /guest/words.sh

runs() { [ -n "$(pid_of "$1")" ]; }
is_jailed() { [ "$(readlink "/proc/$(pid_of "$1")/ns/mnt")" != "$(readlink /proc/1/ns/mnt)" ]; }
is_initd() { [ "$(cat /proc/1/comm)" = initd ]; }
all_mounted() {
	for place in /proc /sys /sys/fs/cgroup /dev /dev/pts /dev/shm /run /tmp; do
		grep -q " $place " /proc/mounts || return 1
	done
}
lo_is_up() { ping -c 1 127.0.0.1 >/dev/null 2>&1 || grep -q '^0x9$' /sys/class/net/lo/flags; }
is_named() { [ "$(cat /proc/sys/kernel/hostname)" = booted ]; }
no_zombies() { ! grep -q '^State:.Z' /proc/[0-9]*/status 2>/dev/null; }
board() { ubus call system board | grep -q '"hostname": "booted"'; }

check "process 1" is_initd
check mounts all_mounted
check loopback lo_is_up
check "host name" is_named
check "object system" board
for name in steady crashing reloading; do check "$name runs" runs $name; done
for name in steady crashing; do check "$name in its jail" is_jailed $name; done
steady=$(pid_of steady)
crashing=$(pid_of crashing)
reloading=$(pid_of reloading)

kill -9 "$crashing"
check "crashing again" is_new crashing "$crashing"

/etc/init.d/reloading reload
/etc/init.d/steady reload
[ "$(pid_of reloading)" = "$reloading" ] && tell "good nothing new, nothing restarted"
echo "config other" >/etc/config/reloading
/etc/init.d/reloading reload
check "reloading again" is_new reloading "$reloading"
[ "$(pid_of steady)" = "$steady" ] && tell "good steady is the same"

sh -c 'busybox usleep 1000 & exec true'
check "orphans reaped" no_zombies
tell "off now"
busybox poweroff
