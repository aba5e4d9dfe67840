#!/bin/sh
# SPDX-License-Identifier: MIT
# post-build.sh TARGET: what a target of these configurations has beside its packages. Buildroot calls it.
set -eu
target=$1

# initd mounts what is missing at these places, the root may be read-only
for name in dev proc sys run tmp root mnt var/empty; do mkdir -p "$target/$name"; done
chmod 1777 "$target/tmp"

if [ ! -e "$target/www/index.html" ] && [ -d "$target/www" ]; then
	echo '<!doctype html><title>router</title><p>served from a jail</p>' >"$target/www/index.html"
fi

# an image that does not boot is found here and not in QEMU
for name in sbin/init usr/bin/python3 etc/rc.common lib/functions/procd.sh bin/sh; do
	[ -e "$target/$name" ] || [ -L "$target/$name" ] || {
		echo "post-build: $name is missing" >&2
		exit 1
	}
done
