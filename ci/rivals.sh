#!/usr/bin/env bash
# What benchstat and hyperfine make of the trials of docs/history.md: sequential runs of the start of a container.
# In each trial A, A once more and B, which is slowed down by PERCENT, are measured one after the other for half of
# SECONDS each. A beside A gives false alarms; A beside B, which takes SECONDS together, what is found.
#
#   ci/rivals.sh TRIALS SECONDS PERCENT   as root, with hyperfine, jq and benchstat (golang.org/x/perf/cmd/benchstat)
set -euo pipefail
cd "$(dirname "$0")/.."
(($# == 3)) || { sed -n 's/^#   //p' "$0" >&2; exit 2; }
trials=$1 half=$(($2 / 2)) percent=$3
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# changed OLD NEW: whether benchstat sees a difference, at its alpha of 0.05
changed() {
	benchstat -filter 'subject:core .unit:sec/op' -format csv "$dir/$1/bench.txt" "$dir/$2/bench.txt" 2>/dev/null |
		awk -F, '$1 == "Start/exit" { rows++; if ($6 != "~") hits++ } END { if (rows != 1) exit 3; exit hits ? 0 : 1 }'
}
# welch I J: whether the means of two of hyperfine's commands differ by more than 1.96 standard errors
welch() {
	jq -e --argjson i "$1" --argjson j "$2" '[.results[$i, $j]] | (.[0].stddev * .[0].stddev / (.[0].times | length) + .[1].stddev * .[1].stddev / (.[1].times | length) | sqrt) as $error |
		((.[1].mean - .[0].mean) / $error | fabs) > 1.96' "$dir/hyperfine.json" >/dev/null
}
# faster I J: whether one "ran R ± S times faster" than the other with R - S above 1, in hyperfine's own words
faster() {
	jq -e --argjson i "$1" --argjson j "$2" '[.results[$i, $j]] | sort_by(.mean) | (.[1].mean / .[0].mean) as $ratio |
		($ratio * ((.[0].stddev / .[0].mean | . * .) + (.[1].stddev / .[1].mean | . * .) | sqrt)) as $s | $ratio - $s > 1' "$dir/hyperfine.json" >/dev/null
}

# The program of hyperfine's containers is sleep(1): its time is what is planted.
root=$dir/root
mkdir -p "$root"/{bin,proc,dev,sys,tmp,etc}
cp /bin/sleep "$root/bin"
for library in $(ldd /bin/sleep | grep -o '/[^ ]*'); do install -D "$library" "$root$library"; done
run="./cellwall run --rootfs $root -- /bin/sleep"
hyperfine -N --warmup 3 --runs 40 --export-json "$dir/hyperfine.json" "$run 0" >/dev/null 2>&1
runs=$(jq --argjson s "$half" '$s / .results[0].mean | floor' "$dir/hyperfine.json")
delay=$(jq --argjson p "$percent" '.results[0].median * $p / 100' "$dir/hyperfine.json")

declare -A alarms found
# note NAME TEST A AGAIN B: counts what TEST says of both pairs; its status is 0 or 1, or it has failed
note() {
	local status=0
	"$2" "$3" "$4" || status=$?
	((status < 2)) || exit "$status"
	alarms[$1]=$((${alarms[$1]:-0} + 1 - status))
	status=0
	"$2" "$4" "$5" || status=$?
	((status < 2)) || exit "$status"
	found[$1]=$((${found[$1]:-0} + 1 - status))
}
for ((trial = 1; trial <= trials; trial++)); do
	for side in a again b; do
		plant=()
		[[ $side == b ]] && plant=(--plant "core=$percent%")
		./cellwall bench --only start.exit --for "${half}s" --format gobench --out "$dir/$side" "${plant[@]}" >/dev/null 2>&1
	done
	hyperfine -N --warmup 3 --runs "$runs" --export-json "$dir/hyperfine.json" "$run 0" "$run 0.0" "$run $delay" >/dev/null 2>&1
	note benchstat changed a again b
	note hyperfine+welch welch 0 1 2
	note hyperfine faster 0 1 2
	printf '%s of %s:' "$trial" "$trials"
	for name in benchstat hyperfine+welch hyperfine; do printf ' %s %s false, %s found;' "$name" "${alarms[$name]:-0}" "${found[$name]:-0}"; done
	echo
done
