# SPDX-License-Identifier: MIT
# JSON as the shell variables of jshn.sh, numbering nodes from NODES (in the environment) on. After json.awk.
BEGIN { nodes = ENVIRON["NODES"] + 0 }
function quoted(text) {
	gsub(/'/, "'\"'\"'", text)
	return "'" text "'"
}
function child(key, type, text,    name) {
	count[node]++
	name = key
	gsub(/[^A-Za-z0-9_]/, "_", name)
	out("_J" node "_m_" name "=" count[node] " _J" node "_" count[node] "_name=" quoted(key) \
		" _J" node "_" count[node] "_type=" type " _J" node "_" count[node] "_value=" quoted(text))
}
function out(text) { lines[++n] = text }
function enter(path, key, kind) {
	if (!node && kind != "object")
		json_fail("not an object")
	nodes++
	if (node)
		child(key, kind, nodes)
	else
		root = nodes
	out("_J" nodes "_type=" kind " _J" nodes "_up=" node)
	up[nodes] = node
	node = nodes
}
function leave(path) {
	out("_J" node "_count=" count[node] + 0)
	node = up[node]
}
function value(path, key, kind, text) {
	if (!node)
		json_fail("not an object")
	else if (kind == "boolean")
		child(key, kind, text == "true" ? 1 : 0)
	else if (kind == "number")
		child(key, text ~ /[.eE]/ ? "double" : "int", text)
	else
		child(key, kind, kind == "null" ? "" : text)
}
END {
	if (json_error || node || !root)
		exit 1
	for (i = 1; i <= n; i++)
		print lines[i]
	print "_json_nodes=" nodes " _json_root=" root " _json_at=" root
}
