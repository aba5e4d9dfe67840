#!/bin/sh
# SPDX-License-Identifier: MIT
# Run the suites in a guest, each in a process of its own: memory is short. Words that are given go to pytest instead.
mkdir -p /results
AGAIN_MAX=5

# Other people's plugins would be looked for in all that is installed, and hypothesis with them
export PYTEST_DISABLE_PLUGIN_AUTOLOAD=1

# -P: the product is the installed one, not the one in this directory. --no-header: it would import hypothesis.
# Nothing here writes with `logging`, of which pytest would keep account in each phase of a test. What a test that passed
# has in its directory goes: /tmp is memory, and a file in it takes a page, which may be one of 64 KiB
suite() {
	result=$1
	shift
	python3 -P -m pytest -p no:cacheprovider -p no:logging -p guest_profile -v --no-header --tb=short --color=no \
		-o tmp_path_retention_policy=failed --durations=10 --continue-on-collection-errors \
		--junitxml="/results/$result.xml" "$@" 2>&1
}

# A few that failed have a second try, and are named: an emulated machine beside another one now and then stands still
# for longer than a test waits.
run() {
	name=$1
	shift
	failed=/results/failed-$name
	STOCKADE_FAILED=$failed suite "junit-$name" "$@"
	found=$?
	if [ $found = 1 ] && [ -s "$failed" ] && [ "$(wc -l <"$failed")" -le $AGAIN_MAX ]; then
		# shellcheck disable=SC2046 # one word for each file
		STOCKADE_AGAIN=$failed suite "again-$name" $(cut -d: -f1 "$failed" | sort -u)
		found=$?
	fi
	[ $found -le $status ] || status=$found
}
status=0
if [ $# -gt 0 ]; then
	run given "$@"
	exit $status
fi
export STOCKADE_ONCE=1
for suite in unit host attack guest/inside; do
	[ ! -d tests/$suite ] || run "${suite%/*}" tests/$suite
done
exit $status
