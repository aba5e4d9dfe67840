#!/bin/sh
# SPDX-License-Identifier: MIT
# Fuzz with ASan and UBSan: tests/fuzz/run.sh [seconds] [policy|plan]. What it finds stays in build/fuzz.
set -eu

cd "$(dirname "$0")/../.."
out=build/fuzz target=${2:-policy}
mkdir -p "$out/corpus-$target"

case $target in
policy)
	sources=
	for source in preload/*.c; do
		case $source in preload/shim*) ;; *) sources="$sources $source" ;; esac
	done
	seeds=tests/fuzz/corpus options=-dict=tests/fuzz/policy.dict
	;;
plan)
	sources=jail/native/decode.c seeds=tests/fuzz/plans options=-use_value_profile=1
	;;
*)
	echo "$0: no target $target: policy or plan" >&2
	exit 2
	;;
esac
# shellcheck disable=SC2086 # a list of words
${CLANG:-clang} -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
	-Ipreload -Ijail/native "tests/fuzz/$target.c" $sources -o "$out/$target"

exec "$out/$target" "$options" -max_len=8192 -timeout=5 \
	-max_total_time="${1:-600}" -print_final_stats=1 -artifact_prefix="$out/" \
	"$out/corpus-$target" "$seeds"
