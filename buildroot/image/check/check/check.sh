#!/bin/sh
# SPDX-License-Identifier: MIT
# What must be so in a booted image. One line for each check or number, the run's own token first; then off.
# shellcheck source=tests/guest/words.sh
. /check/words.sh
SERVICES="log dnsmasq dropbear httpd ntpd"

pids() { for each in $SERVICES; do [ "$each" = "${1:-}" ] || echo "$each $(pid_of "$each")"; done; }
all_run() { # each of SERVICES has one instance
	list=$(ubus call service list) || return
	[ "$(echo "$list" | grep -c '"running": true')" = 5 ]
}

# kB of the whole system: what is not available, and what the processes have for themselves
memory() {
	awk '/^MemTotal/ { total = $2 } /^MemAvailable/ { print total - $2 }' /proc/meminfo
}
rss() { cat /proc/[0-9]*/status 2>/dev/null | awk '/^VmRSS/ { sum += $2 } END { print sum }'; }
pss() { cat /proc/[0-9]*/smaps_rollup 2>/dev/null | awk '/^Pss:/ { sum += $2 } END { print sum + 0 }'; }
numbers() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
	tell "number used-kib $(memory)"
	tell "number rss-kib $(rss)"
	tell "number pss-kib $(pss)"
	tell "number initd-pss-kib $(awk '/^Pss:/ { print $2 }' /proc/1/smaps_rollup)"
	tell "number processes $(cat /proc/[0-9]*/status 2>/dev/null | grep -c ^VmRSS)"
}

hundredths() { tr -d . </proc/uptime | cut -d' ' -f1; }
one_call() { # ms that a script waits for initd to be asked once
	from=$(hundredths)
	for _ in 1 2 3 4 5; do ubus call service list '{"name":"log"}' >/dev/null; done
	tell "number ubus-call-ms $((($(hundredths) - from) * 2))"
}

in_jail() { # PROGRAM: another root, and with FILTER one more
	for found in $(pidof "$1"); do
		[ "$(readlink "/proc/$found/ns/mnt")" != "$(readlink /proc/1/ns/mnt)" ] || return
		[ -z "${2:-}" ] || grep -q '^Seccomp:.2' "/proc/$found/status" || return
	done
	[ -n "$found" ]
}
answers() { nslookup "$1" 127.0.0.1 2>&1 | grep -q "$2"; }
serves() { wget -q -O - "http://127.0.0.1/" | grep -q "from a jail"; }
greets() { echo | nc -w 5 127.0.0.1 22 | grep -q SSH-2.0-dropbear; }
listens() { grep -q ':007B ' /proc/net/udp /proc/net/udp6; }

use() {
	check "dnsmasq answers" answers router.lan 192.168.1.1
	check "httpd serves" serves
	check "dropbear greets" greets
	check "ntpd listens" listens
}

# watched in its jail, then held by what was seen
learned() {
	/etc/init.d/dnsmasq trace >/tmp/trace.out 2>&1
	check "dnsmasq answers, traced" answers router.lan 192.168.1.77
	check "traced in its jail" in_jail dnsmasq
	/etc/init.d/dnsmasq stop >>/tmp/trace.out 2>&1
	policy=$(sed -n 's/.*\(\/tmp\/dnsmasq\.json\.[0-9]*\).*/\1/p' /tmp/trace.out | tail -n 1)
	check "its policy was written" grep -q '"names"' "$policy"
	cp "$policy" /etc/seccomp/dnsmasq.json
	/etc/init.d/dnsmasq start
	check "dnsmasq answers under it" answers router.lan 192.168.1.77
	check "and is held by it" in_jail dnsmasq filter
}

# a policy without a call that httpd needs for each request, under one name everywhere; the service dies of it and that
# is explained
denied() {
	sed 's/"clone",//' /etc/seccomp/httpd.json >/etc/seccomp/new
	mv /etc/seccomp/httpd.json /tmp/httpd.json
	mv /etc/seccomp/new /etc/seccomp/httpd.json
	/etc/init.d/httpd reload
	check "a denied call in words" asked_and_said "$DENIAL"
	tell "said $(logread | grep "$DENIAL" | tail -n 1)"
	check "jailctl why" explained httpd
	jailctl why httpd
	mv /tmp/httpd.json /etc/seccomp/httpd.json
	/etc/init.d/httpd stop
	/etc/init.d/httpd start
	check "httpd serves again" serves
}
DENIAL="killed for clone"
case $(uname -m) in
mips*) DENIAL="killed for \(clone\|a system call\)" ;; # whose kernels write no record of which
esac
asked_and_said() { # httpd may not listen yet when it is asked first
	wget -q -T 5 -O - http://127.0.0.1/ >/dev/null 2>&1
	logread | grep -q "$1"
}
explained() { jailctl why "$1" | grep -q "$DENIAL"; }

# the twin of all: what nothing was done to is the same process as before
upgrade() {
	before=$(pids httpd)
	httpd=$(pid_of httpd)
	sed 's/"comment": "/&upgraded: /' /etc/seccomp/httpd.json >/etc/seccomp/new
	mv /etc/seccomp/new /etc/seccomp/httpd.json
	for name in $SERVICES; do /etc/init.d/$name reload; done
	check "a new policy restarts its service" is_new httpd "$httpd"
	check "httpd serves under it" serves
	check "and no other" [ "$(pids httpd)" = "$before" ]
}

change_config() {
	reload_config # the first call looks
	before=$(pids dnsmasq)
	sed -i s/192.168.1.1/192.168.1.77/ /etc/config/dnsmasq
	reload_config
	check "a changed setting is in force" answers router.lan 192.168.1.77
	check "and touched nothing else" [ "$(pids dnsmasq)" = "$before" ]
}

speaks() { # WORDS...: jailctl says yes or no
	jailctl "$@"
	[ $? -le 1 ]
}

# each command with this Python, of which nothing is left but what they import
commands() {
	dmesg >/tmp/dmesg
	check "ujail" [ "$(ujail -n x -- /bin/busybox echo in a jail)" = "in a jail" ]
	check "ujail --explain" ujail --explain -n x -p -S /etc/seccomp/httpd.json -r /www -- /usr/sbin/httpd -f
	check "utrace" utrace -f /tmp/echo.json --args --paths /bin/busybox echo
	check "a policy by utrace holds" ujail -n x -S /tmp/echo.json -- /bin/busybox echo
	for words in "lint" "show" "show --asm" "fmt" "compile --arch mips -o /tmp/bpf" "port --to mips"; do
		# shellcheck disable=SC2086 # words
		check "jailctl policy $words" speaks policy $words /etc/seccomp/httpd.json
	done
	check "jailctl policy merge" speaks policy merge /etc/seccomp/httpd.json /tmp/echo.json
	check "jailctl policy diff" speaks policy diff /etc/seccomp/httpd.json /tmp/echo.json
	check "jailctl policy simulate" speaks policy simulate /etc/seccomp/httpd.json read
	check "jailctl policy explain" speaks policy explain mount
	check "jailctl audit-log" speaks audit-log /tmp/dmesg
	check "service" sh -c 'service | grep -q dnsmasq'
}

# by who sees the console: the harness, which types what it is told
login() {
	old=$(pidof getty)
	tell "login"
	kill -9 "$old"
	check "a getty, and a login" is_logged_in
	tell "type tty >/tmp/typed; exit"
	check "what is typed is done" grep -q /dev/ /tmp/typed
	check "a getty again" is_another getty "$old"
}
is_logged_in() { grep -q '^-sh' /proc/[0-9]*/cmdline; }
is_another() {
	now=$(pidof "$1")
	[ -n "$now" ] && [ "$now" != "$2" ]
}

whole() { ! logread | grep -E 'Traceback|ModuleNotFoundError|ImportError'; }

check "all services run" all_run
if [ "$mode" = service ]; then
	check "initd is not process 1" [ "$(cat /proc/1/comm)" = init ]
	for name in dnsmasq httpd dropbear ntpd; do check "$name is in a jail with a filter" in_jail $name filter; done
	use
	tell "good end"
	exec poweroff
fi
tell "number up-s $(cut -d' ' -f1 /proc/uptime)"
tell "number kernel-s $(cat /etc/kernel-s)"
numbers
one_call
if [ "$mode" = unjailed ]; then
	use
	tell "good end"
	exec poweroff
fi
for name in dnsmasq httpd dropbear ntpd; do check "$name is in a jail with a filter" in_jail $name filter; done
use
change_config
upgrade
learned
denied
commands
login
check "no module was missing" whole
tell "good end"
exec poweroff
