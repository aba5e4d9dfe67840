#!/bin/sh
# SPDX-License-Identifier: MIT
# /init of the image's first root: load modules, lay a tmpfs over the read-only squashfs, start initd in it.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t devtmpfs none /dev 2>/dev/null
mount -t proc none /proc
mount -t sysfs none /sys

for module in /modules/*; do
	[ -e "$module" ] || continue
	insmod "$module" || echo "guest: $module was not loaded"
done

tries=0
while [ ! -b /dev/vda ] && [ $tries -lt 100 ]; do
	tries=$((tries + 1))
	usleep 100000
done
mount -t tmpfs -o mode=0755 none /new
mkdir /new/disk /new/upper /new/work /new/root
mount -t squashfs -o ro /dev/vda /new/disk || { echo "guest: no root on /dev/vda"; poweroff -f; }
mount -t overlay -o lowerdir=/new/disk,upperdir=/new/upper,workdir=/new/work none /new/root ||
	{ echo "guest: no overlay"; poweroff -f; }

read -r words </proc/cmdline
case $words in
*stockade.mode=unjailed*)
	# for comparison: the same services with none of what confines them
	sed -i -E 's/procd_(add_jail|set_jail_param|set_param (seccomp|capabilities|user)).*/:/' /new/root/etc/init.d/*
	;;
esac
# initd mounts all of this itself: it finds what a bare kernel leaves it
cut -d' ' -f1 /proc/uptime >/new/root/etc/kernel-s
umount -l /dev /proc /sys
exec switch_root /new/root /sbin/init
