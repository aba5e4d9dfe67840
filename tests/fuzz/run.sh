#!/bin/sh
# SPDX-License-Identifier: MIT
# Fuzz the policy compiler with ASan and UBSan: tests/fuzz/run.sh [seconds]. What it finds stays in build/fuzz.
set -eu

cd "$(dirname "$0")/../.."
out=build/fuzz
mkdir -p "$out/corpus"

sources=
for source in preload/*.c; do
	case $source in preload/shim*) ;; *) sources="$sources $source" ;; esac
done
# shellcheck disable=SC2086 # a list of words
${CLANG:-clang} -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
	-Ipreload tests/fuzz/policy.c $sources -o "$out/policy"

exec "$out/policy" -dict=tests/fuzz/policy.dict -max_len=8192 -timeout=5 \
	-max_total_time="${1:-600}" -print_final_stats=1 -artifact_prefix="$out/" \
	"$out/corpus" tests/fuzz/corpus
