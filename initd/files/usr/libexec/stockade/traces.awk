# SPDX-License-Identifier: MIT
# Of the answer of `service list` or `delete`: for each instance of the service SERVICE (in the environment) the file of
# its trace in a line; exit status 2 while one of them is only about to be started anew. After json.awk.
BEGIN { instances = "\034" ENVIRON["SERVICE"] "\034instances\034" }
function enter(path, key, kind) { }
function leave(path) { }
function value(path, key, kind, text) {
	if (index(path, instances) != 1 || index(substr(path, length(instances) + 1), "\034"))
		return
	if (key == "trace_file")
		print text
	if (key == "state" && text == "restarting")
		waiting = 1
}
END {
	if (json_error) {
		print json_error >"/dev/stderr"
		exit 1
	}
	exit waiting ? 2 : 0
}
