#!/bin/sh
# SPDX-License-Identifier: MIT
# Process 1 of a guest, in its real root: what a booted system has, then the suites or a shell, then off.
# The kernel's command line gives stockade.token (of this run) and stockade.mode (test or shell).
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LC_ALL=C.UTF-8
busybox --install -s 2>/dev/null
mount -t devpts -o mode=620,ptmxmode=666 none /dev/pts 2>/dev/null || { mkdir -p /dev/pts; mount -t devpts none /dev/pts; }
mkdir -p /dev/shm && mount -t tmpfs -o mode=1777 none /dev/shm
mount -t tmpfs -o mode=1777 none /tmp
mount -t tmpfs -o mode=0755 none /run
mount -t cgroup2 none /sys/fs/cgroup
[ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd
# by its memory in large pages a machine of 256 MiB would have 500
echo 4096 >/proc/sys/kernel/threads-max
hostname guest
ip link set lo up
[ -x /sbin/ldconfig ] && /sbin/ldconfig 2>/dev/null
read -r words </proc/cmdline
for word in $words; do
	case $word in
	stockade.token=*) token=${word#*=} ;;
	stockade.mode=*) mode=${word#*=} ;;
	esac
done
# one line at a time, the run's own mark first: the only lines that the harness believes
say() { echo "@$token $*"; }
uptime_s() { cut -d' ' -f1 /proc/uptime; }

say up "$(uptime_s)"
cd /stockade || poweroff -f
# shellcheck source=/dev/null
. /guest/environment
if [ "$mode" = shell ]; then
	echo "The checkout is in /stockade; its changes are lost at exit. The suites: sh /guest/suites.sh"
	setsid -c sh -i
	poweroff -f
fi
mkdir /results
sh /guest/run
status=$?
say tested "$(uptime_s)"
dmesg >/results/dmesg
cat /proc/uptime >/results/uptime
echo "$token" >/results/token
tar -C /results -cf /dev/vdb . && sync
say ended $status
# the harness ends the machine at the line above; this is for those that it does not watch
poweroff -f
