#!/usr/bin/env bash
# Kills verify runs with SIGKILL at random moments, then asks `cellwall clean` to find all that
# they left, and looks with its own eyes afterwards. Usage: kill-and-clean.sh RUNS
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-200}
mounts=$(cat /proc/self/mountinfo)
for ((i = 1; i <= runs; i++)); do
	./cellwall verify --format jsonl >/dev/null 2>&1 &
	pid=$!
	sleep "$(printf '%d.%03d' $((RANDOM % 6)) $((RANDOM % 1000)))"
	kill -KILL "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
	((i % 10)) || echo "killed $i of $runs"
done
./cellwall clean | tail -n 3
left=$(ls -d /dev/shm/cellwall-* 2>/dev/null; find /sys/fs/cgroup -type d -name 'cellwall-*' 2>/dev/null; find /run/cellwall -mindepth 1 -not -name containers 2>/dev/null || true)
processes=$(for d in /proc/[0-9]*; do tr '\0' ' ' <"$d/cmdline" 2>/dev/null | grep -aE '^(/?cellwall-(attacker|sentinel)|\./cellwall)' || true; done)
if [[ -n $left || -n $processes || $mounts != "$(cat /proc/self/mountinfo)" ]]; then
	printf 'left after clean:\n%s\n%s\n' "$left" "$processes"
	diff <(echo "$mounts") /proc/self/mountinfo || true
	exit 1
fi
echo "$runs runs killed: nothing left after clean"
