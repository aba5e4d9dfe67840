# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2034 # mode is for who reads this
# Words of the checks in a machine that initd has booted: one line for each check, the run's own token first.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/libexec/stockade
token='' mode=''
read -r words </proc/cmdline
for word in $words; do
	case $word in
	stockade.token=*) token=${word#*=} ;;
	stockade.mode=*) mode=${word#*=} ;;
	esac
done

tell() { printf '\n@%s %s\n' "$token" "$*"; } # there may be a prompt on the line

check() { # WHAT COMMAND...: it is so, or will be soon
	what=$1
	shift
	tries=0
	until "$@" >/tmp/check.out 2>&1; do
		tries=$((tries + 1))
		if [ $tries -gt 300 ]; then
			cat /tmp/check.out
			ubus call service list
			busybox logread 2>/dev/null | tail -n 30
			tell "failed $what"
			exec busybox poweroff -f
		fi
		# a console that says nothing looks like a machine that hangs
		[ $((tries % 50)) != 0 ] || echo "not yet: $what"
		busybox usleep 100000
	done
	tell "good $what"
}

pid_of() { ubus call service list "{\"name\":\"$1\"}" | sed -n 's/.*"pid": \([0-9]*\).*/\1/p'; }
is_new() { # SERVICE PID: it runs, and as another process
	now=$(pid_of "$1") && [ -n "$now" ] && [ "$now" != "$2" ]
}
