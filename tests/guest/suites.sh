#!/bin/sh
# SPDX-License-Identifier: MIT
# Run the suites in a guest. Words that are given go to pytest instead of the suites' own names.
[ $# -gt 0 ] || for suite in unit host attack guest/inside; do
	[ ! -d tests/$suite ] || set -- "$@" tests/$suite
done
mkdir -p /results
# -P: the product is the installed one, not the one in this directory
exec python3 -P -m pytest -p no:cacheprovider -p guest_profile -v --tb=short --color=no --durations=10 \
	--junitxml=/results/junit.xml "$@" 2>&1
