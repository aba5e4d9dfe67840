#!/bin/sh
# SPDX-License-Identifier: MIT
# Run the suites in a guest, each in a process of its own: memory is short. Words that are given go to pytest instead.
mkdir -p /results
# -P: the product is the installed one, not the one in this directory
run() {
	name=$1
	shift
	python3 -P -m pytest -p no:cacheprovider -p guest_profile -v --tb=short --color=no --durations=10 \
		--continue-on-collection-errors --junitxml="/results/junit-$name.xml" "$@" 2>&1
	found=$?
	[ $found -le $status ] || status=$found
}
status=0
if [ $# -gt 0 ]; then
	run given "$@"
	exit $status
fi
for suite in unit host attack guest/inside; do
	[ ! -d tests/$suite ] || run "${suite%/*}" tests/$suite
done
exit $status
