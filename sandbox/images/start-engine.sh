#!/usr/bin/env bash
# Sees to it that a Docker engine answers, for a build machine without systemd: installs and starts one if it must.
#
#   start-engine.sh        prints DOCKER_HOST=… of the engine that answers
#
# An engine that answers already is left alone. Otherwise it needs root, and apt when dockerd is missing.
#   CODER_ENGINE_DIR    where a new engine keeps its data and log (default /var/lib/coder-engine)
#   CODER_ENGINE_NETNS  set it for a second engine beside a running one: it gets a network namespace of its own
#                       (without, a dockerd that makes no bridge removes the first one's)
set -euo pipefail

host=${DOCKER_HOST:-unix:///var/run/docker.sock}
socket=${host#unix://}
state=${CODER_ENGINE_DIR:-/var/lib/coder-engine}
seconds=60

say() { echo "start-engine.sh: $*" >&2; }
fail() { say "$*"; exit 1; }
answers() { [[ -S $socket && $(curl --silent --max-time 5 --unix-socket "$socket" http://engine/_ping) = OK ]]; }
done_here() { say "$1"; echo "DOCKER_HOST=$host"; exit 0; }

[[ $host = unix://* ]] || fail "$host is not a socket on this machine"
answers && done_here "an engine answers at $socket"
((EUID == 0)) || fail "no engine answers at $socket, and only root can start one"

mkdir -p "$state" "$(dirname "$socket")"
exec {lock}>"$state/lock"
flock "$lock"
answers && done_here "an engine answers at $socket" # started by the one we waited for

install_engine() {
  say "installing docker.io"
  local policy=/usr/sbin/policy-rc.d made=no status=0
  # the package would start an engine of its own
  [[ -e $policy ]] || { printf '#!/bin/sh\nexit 101\n' >$policy && chmod +x $policy && made=yes; }
  export DEBIAN_FRONTEND=noninteractive
  local wanted=(docker.io iptables ca-certificates curl)
  { apt-get install --yes -qq --no-install-recommends "${wanted[@]}" ||
    { apt-get update -qq && apt-get install --yes -qq --no-install-recommends "${wanted[@]}"; }; } >"$state/apt.log" 2>&1 || status=$?
  [[ $made = no ]] || rm -f $policy
  ((status == 0)) || { tail -n 10 "$state/apt.log" >&2; fail "docker.io could not be installed"; }
  hash -r
}

mount_cgroups() {
  grep --quiet --extended-regexp ' cgroup2? ' /proc/self/mounts && return
  say "mounting control groups"
  mount -t tmpfs -o mode=0755 cgroup /sys/fs/cgroup
  local controller
  while read -r controller; do
    mkdir -p "/sys/fs/cgroup/$controller"
    mount -t cgroup -o "$controller" cgroup "/sys/fs/cgroup/$controller" || rmdir "/sys/fs/cgroup/$controller"
  done < <(awk '$4 == 1 {print $1}' /proc/cgroups)
}

start() { # extra options of dockerd
  say "dockerd $*"
  rm -f "$socket"
  local alone=()
  [[ -z ${CODER_ENGINE_NETNS:-} ]] || alone=(unshare --net --)
  # a session of its own and no descriptor of ours: it outlives this script and the step that called it
  (
    exec {lock}>&-
    setsid "${alone[@]}" dockerd --host "$host" --data-root "$state/data" --exec-root "$state/exec" \
      --pidfile "$state/pid" "$@" </dev/null >>"$state/log" 2>&1 &
    echo $! >"$state/started"
  )
  local pid tick
  pid=$(<"$state/started")
  for ((tick = 0; tick < seconds * 5; tick++)); do
    ! answers || return 0
    kill -0 "$pid" 2>/dev/null || return 1
    sleep 0.2
  done
  kill "$pid"
  return 1
}

command -v dockerd >/dev/null && command -v curl >/dev/null || install_engine
mount_cgroups
if [[ -s $state/pid ]] && ! kill -0 "$(<"$state/pid")" 2>/dev/null; then rm -f "$state/pid"; fi
: >"$state/log"
if start; then done_here "started at $socket, log in $state/log"; fi
if [[ -z ${CODER_ENGINE_NETNS:-} ]] && pidof dockerd >/dev/null; then
  tail -n 5 "$state/log" >&2
  fail "it does not start beside the engine that runs: set CODER_ENGINE_NETNS=1"
fi
# the sandbox needs no network at all, so an engine that cannot make one is good enough
start --bridge=none --iptables=false ||
  start --bridge=none --iptables=false --storage-driver=vfs ||
  { tail -n 20 "$state/log" >&2; fail "no engine could be started, see $state/log"; }
done_here "started at $socket, without container networks, log in $state/log"
