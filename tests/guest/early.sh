#!/bin/sh
# SPDX-License-Identifier: MIT
# /init of a first root: load modules, lay a tmpfs over the read-only disk, and go on there as /then says.
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
mount -o ro /dev/vda /new/disk || { echo "guest: no root on /dev/vda"; poweroff -f; }
mount -t overlay -o lowerdir=/new/disk,upperdir=/new/upper,workdir=/new/work none /new/root ||
	{ echo "guest: no overlay"; poweroff -f; }
echo "guest: the root is there"
# shellcheck disable=SC2034 # for then.sh
read -r words </proc/cmdline
# shellcheck source=/dev/null
. /then
