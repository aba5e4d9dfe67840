# SPDX-License-Identifier: MIT
# The answer of `service list` as one line, for the service SERVICE and, unless empty, its instance INSTANCE (both in the
# environment); with WHY further lines say why instances are down. After json.awk.
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
function value(path, key, kind, text,    name, end) {
	if (index(path, service "\034instances\034") != 1)
		return
	name = substr(path, length(service) + 12)
	if (end = index(name, "\034")) {
		if (substr(name, end + 1) == "errors" && key == 1)
			reason[substr(name, 1, end - 1)] = "not started: " text
		return
	}
	if (key == "failed")
		reason[name] = text
	if (key == "last_exit" && !(name in reason))
		reason[name] = "its last process ended with " text
	if (key != "running")
		return
	if (text != "true") {
		down[++downs] = name
		return
	}
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
	if (ENVIRON["WHY"])
		for (i = 1; i <= downs; i++)
			if (down[i] in reason && (instance == "" || instance == "*" || instance == down[i]))
				print ENVIRON["SERVICE"] "::" down[i] ": " reason[down[i]]
}
