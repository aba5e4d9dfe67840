# SPDX-License-Identifier: MIT
# The answer of `service list` as one line, for the service SERVICE and, unless empty, its instance INSTANCE (both in the
# environment). After json.awk.
BEGIN {
	service = "\034" ENVIRON["SERVICE"]
	instance = ENVIRON["INSTANCE"]
}
function enter(path, key, kind) {
	if (path == "" && "\034" key == service)
		known = 1
	if (path == service "\034instances") {
		all++
		if (key == instance)
			found = 1
	}
}
function leave(path) { }
function value(path, key, kind, text,    name) {
	if (key != "running" || text != "true" || index(path, service "\034instances\034") != 1)
		return
	name = substr(path, length(service) + 12)
	if (index(name, "\034"))
		return
	running++
	if (name == instance)
		up = 1
}
END {
	if (json_error) {
		print json_error >"/dev/stderr"
		exit 1
	}
	if (!known)
		print "inactive"
	else if (instance != "" && instance != "*")
		print found ? (up ? "running" : "not running") : "unknown instance " instance
	else if (!all)
		print "active with no instances"
	else if (!running)
		print "not running"
	else
		print running == all ? "running" : "running (" running "/" all ")"
}
