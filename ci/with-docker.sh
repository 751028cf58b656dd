#!/usr/bin/env bash
# Runs a command beside an engine of Docker's, which is started for it and stopped after it: with-docker.sh COMMAND...
#
# Both have a network and a mount namespace of their own, as the host's firewall, forwarding and mounts are none of the
# engine's to change. Its images, containers and sockets are on a tmpfs there, and are gone with it. Needs root, dockerd
# and containerd, and no engine that runs: the command's is the one at DOCKER_HOST.
set -euo pipefail
if [[ ${1-} != --inside ]]; then
	(($#)) || { echo "usage: $0 COMMAND..." >&2; exit 2; }
	made=()
	for dir in /run/containerd /run/docker /etc/docker; do # mount points: what is below them is on a tmpfs
		[[ -d $dir ]] || { mkdir "$dir" && made+=("$dir"); }
	done
	dir=$(mktemp -d)
	trap 'rmdir "$dir" ${made[@]+"${made[@]}"}' EXIT
	unshare --mount --net "$0" --inside "$dir" "$@"
	exit
fi
dir=$2
shift 2
for point in "$dir" /run/containerd /run/docker /etc/docker; do
	mount -t tmpfs cellwall-docker "$point"
done
mount --make-rshared / # as systemd has it: a volume may be shared
ip link set lo up
export DOCKER_HOST=unix://$dir/docker.sock

# The engine ends with this script, however that ends.
setpriv --pdeathsig TERM dockerd --host "$DOCKER_HOST" --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/pid" \
	--exec-opt native.cgroupdriver=cgroupfs \
	--cgroup-parent /cellwall-docker --bridge none --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false \
	--log-level warn >"$dir/log" 2>&1 &
engine=$!
stop() {
	kill -TERM "$engine" 2>/dev/null || true
	wait "$engine" 2>/dev/null || true
}
trap stop EXIT
until docker version >/dev/null 2>&1; do
	kill -0 "$engine" 2>/dev/null || { echo 'the engine of docker does not start:' >&2; tail -n 20 "$dir/log" >&2; exit 3; }
	sleep 0.1
done
"$@"
