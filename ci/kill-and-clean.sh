#!/usr/bin/env bash
# Kills verify runs with SIGKILL at random moments, then asks `cellwall clean` to find all that
# they left, and looks with its own eyes afterwards. Usage: kill-and-clean.sh RUNS [RUNTIME]
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-200}
runtime=${2:-core}
mounts=$(cat /proc/self/mountinfo)

# left lists what a killed run may leave: cgroups, directories, files and processes.
left() {
	find /sys/fs/cgroup -type d -name 'cellwall-*' 2>/dev/null || true
	find /run/cellwall -mindepth 1 -not -path /run/cellwall/containers 2>/dev/null || true
	find /run/systemd/nspawn /run/lxc/lock -name 'cellwall-*' -prune 2>/dev/null || true
	find /run/crun /run/runc -mindepth 1 -maxdepth 1 2>/dev/null || true # podman's runtime
	find /dev/shm -maxdepth 1 -name 'cellwall-*' 2>/dev/null || true
	for d in /proc/[0-9]*; do
		tr '\0' ' ' <"$d/cmdline" 2>/dev/null | grep -aE '^(\./cellwall|[^ ]*cellwall-(attacker|sentinel)|runsc-(sandbox|gofer)) ' || true
	done
}

# What lay there before is not theirs.
first=$(left | sort)
ours() { comm -13 <(echo "$first") <(left | sort); }

# A kill has to find its run alive: it comes within the first four fifths of what a whole run takes.
now() { echo "${EPOCHREALTIME//[^0-9]/}"; } # microseconds
begin=$(now)
./cellwall verify --runtime "$runtime" --format jsonl >/dev/null 2>&1 || true
longest=$((($(now) - begin) * 4 / 5))

alive=0
for ((i = 1; i <= runs; i++)); do
	./cellwall verify --runtime "$runtime" --format jsonl >/dev/null 2>&1 &
	pid=$!
	at=$(((RANDOM << 15 | RANDOM) % longest))
	sleep "$(printf '%d.%06d' $((at / 1000000)) $((at % 1000000)))"
	if kill -KILL "$pid" 2>/dev/null; then alive=$((alive + 1)); fi
	wait "$pid" 2>/dev/null || true
	((i % 10)) || echo "killed $alive of $i runs"
done
# Runs that had ended by themselves, or never began, would prove nothing.
if ((alive * 10 < runs * 9)); then
	echo "only $alive of $runs runs were alive when they were to be killed"
	exit 1
fi
before=$(ours | wc -l)
if ((before == 0)); then
	echo "$alive killed runs left nothing at all: this cannot be"
	exit 1
fi
./cellwall clean | tail -n 3
after=$(ours)
if [[ -n $after || $mounts != "$(cat /proc/self/mountinfo)" ]]; then
	printf 'left after clean:\n%s\n' "$after"
	diff <(echo "$mounts") /proc/self/mountinfo || true
	exit 1
fi
echo "$alive of $runs runs killed while alive: $before things were left, none after clean"
