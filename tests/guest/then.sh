# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2154 # words: the kernel's, of early.sh
# The end of early.sh in a guest: the suites' shell is process 1, or initd.
case $words in
*stockade.mode=boot*)
	# initd makes all of this itself, also the console: it finds what a bare kernel leaves it
	umount -l /dev /proc /sys
	exec switch_root /new/root /sbin/init
	;;
esac
for place in dev proc sys; do mount --move /$place /new/root/$place; done
exec switch_root /new/root /bin/sh /guest/late.sh
