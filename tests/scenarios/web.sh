# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Read by the scenarios of web servers, after common.sh: a site, and what each server must do with it.

mkdir -p "$T/www/private" "$T/www/folder"
echo '<p>hello' >"$T/www/index.html"
echo secret >"$T/www/private/index.html"
head -c 3000000 /dev/urandom >"$T/www/data"

page_is() { timeout 9 busybox wget -qO- "http://127.0.0.1:$PORT$2" | grep -q "$1"; }
header() { # PATH [HEADER]: what the server says before the page
	printf 'GET %s HTTP/1.0\r\nHost: test\r\n%s\r\n' "$1" "${2:+$2
}" | timeout 9 busybox nc 127.0.0.1 "$PORT" | sed '/^.$/q'
}

# $PORT is the server's; /private wants admin and sesame
web_pages() {
	URL=http://127.0.0.1:$PORT
	page_is hello /
	expect 301 header /folder
	expect 40 timeout 9 busybox wget -SO- "$URL/folder/"
	expect 404 timeout 9 busybox wget -SO- "$URL/nothing"
	expect 401 timeout 9 busybox wget -SO- "$URL/private/"
	expect secret timeout 9 busybox wget -qO- "http://admin:sesame@127.0.0.1:$PORT/private/"
	timeout 9 busybox wget -qO "$T/got" "$URL/data"
	cmp "$T/got" "$T/www/data"
	head -c 1000000 "$T/www/data" >"$T/got"
	timeout 9 busybox wget -q -c -O "$T/got" "$URL/data"
	cmp "$T/got" "$T/www/data"
	expect 200 sh -c "printf 'HEAD / HTTP/1.0\r\n\r\n' | timeout 9 busybox nc 127.0.0.1 $PORT"
	expect 400 sh -c "printf 'NONSENSE\r\n\r\n' | timeout 9 busybox nc 127.0.0.1 $PORT"
	printf 'GET /data HTTP/1.0\r\n\r\n' | timeout 9 busybox nc 127.0.0.1 "$PORT" | head -c 100 >/dev/null # goes away early
	# ten at once, on connections that stay
	python3 - "$PORT" <<-'PYTHON'
		import http.client, sys
		clients = [http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=10) for _ in range(10)]
		for _ in range(3):
		    for client in clients:
		        client.request("GET", "/index.html")
		    for client in clients:
		        assert b"hello" in client.getresponse().read()
	PYTHON
	page_is hello /
}
