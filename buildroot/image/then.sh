# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2154 # words: the kernel's, of early.sh
# The end of early.sh in an image: initd is process 1, or BusyBox's init.
case $words in
*stockade.mode=unjailed*)
	# for comparison: the same services with none of what confines them
	sed -i -E 's/procd_(add_jail|set_jail_param|set_param (seccomp|capabilities|user)).*/:/' /new/root/etc/init.d/*
	;;
esac
cut -d' ' -f1 /proc/uptime >/new/root/etc/kernel-s
case $words in
*stockade.mode=service*)
	# BusyBox's init is process 1, and finds the /dev that a kernel with CONFIG_DEVTMPFS_MOUNT leaves it
	cp -a /new/root/check/service/. /new/root/
	ln -sf /bin/busybox /new/root/sbin/init
	mount --move /dev /new/root/dev
	;;
*) umount -l /dev ;; # initd mounts all of this itself: it finds what a bare kernel leaves it
esac
umount -l /proc /sys
exec switch_root /new/root /sbin/init
