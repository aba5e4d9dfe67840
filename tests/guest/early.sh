#!/bin/sh
# SPDX-License-Identifier: MIT
# /init of a guest's first root: load modules, lay a tmpfs over the read-only disk, go on there.
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
mount -t ext4 -o ro /dev/vda /new/disk || { echo "guest: no root on /dev/vda"; poweroff -f; }
mount -t overlay -o lowerdir=/new/disk,upperdir=/new/upper,workdir=/new/work none /new/root ||
	{ echo "guest: no overlay"; poweroff -f; }
case $(cat /proc/cmdline) in
*stockade.mode=boot*)
	# initd makes all of this itself, also the console: it finds what a bare kernel leaves it
	umount -l /dev /proc /sys
	exec switch_root /new/root /sbin/init
	;;
esac
for place in dev proc sys; do mount --move /$place /new/root/$place; done
exec switch_root /new/root /bin/sh /guest/late.sh
