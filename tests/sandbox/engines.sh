#!/usr/bin/env bash
# Starts engines of other kinds for the tests, each with its own storage and in a network namespace of its own.
#
#   engines.sh start KIND   prints the address of an engine that answers
#   engines.sh stop  KIND   ends it and removes all that it stored
#
# KIND is rootless-docker, rootless-podman, podman, gvisor (Docker with the runtime runsc) or remapped (Docker with
# --userns-remap). Debian packages: docker.io rootlesskit uidmap podman runc runsc. As root, a rootless engine runs as the
# user coder-engine, who is made for it and removed at the end. The image comes from the engine that answers at
# the usual socket, or at DOCKER_HOST.
#   CODER_ENGINES    where they keep everything (default /var/tmp/coder-engines)
set -euo pipefail

image=coder-sandbox:base
base=${CODER_ENGINES:-/var/tmp/coder-engines}
user=coder-engine
verb=${1:-} kind=${2:-}
state=$base/$kind
socket=$state/run/engine.sock

fail() { echo "engines.sh: $*" >&2; exit 1; }
api() { curl --silent --max-time 20 --unix-socket "$socket" "http://engine$1"; }
answers() { [[ -S $socket && $(api /_ping) = OK ]]; }
needs() { local word; for word; do command -v "$word" >/dev/null || fail "$kind needs $word"; done; }

# Runs a program for the engine: as the ordinary user, with nothing of ours in its environment.
as_engine() {
  local words=(env -i "HOME=$state/home" "XDG_RUNTIME_DIR=$state/run" "PATH=/usr/sbin:/usr/bin:/sbin:/bin" "$@")
  if [[ $kind = rootless-* ]] && ((EUID == 0)); then
    words=(setpriv --reuid "$user" --regid "$user" --init-groups "${words[@]}")
  fi
  "${words[@]}"
}

prepare() {
  mkdir -p "$state"/{run,home,r}
  if [[ $kind = r* ]] && ((EUID == 0)); then
    id "$user" >/dev/null 2>&1 || useradd --system --no-create-home --add-subids-for-system "$user"
    chown "$user:" "$state" "$state"/{run,home,r}
  fi
  chmod 0755 "$base" "$state" "$state/run"
}

serve() {
  case $kind in
    rootless-docker)
      needs rootlesskit newuidmap dockerd
      # what Docker's dockerd-rootless.sh does, but for the network (which would want /dev/net/tun)
      as_engine setsid rootlesskit --net=host --copy-up=/etc --copy-up=/run --state-dir "$state/run/kit" \
        sh -c 'rm -f /run/docker /run/containerd /run/xtables.lock; exec dockerd "$@"' dockerd --rootless \
        --host "unix://$socket" --data-root "$state/data" --exec-root "$state/run/exec" --pidfile "$state/run/pid" \
        --bridge=none --iptables=false
      ;;
    rootless-podman | podman)
      needs podman newuidmap runc
      local alone=()
      if [[ $kind = podman ]]; then
        ((EUID == 0)) || fail "podman of root needs root"
        alone=(unshare --net --)
      fi
      # runc: crun refuses control groups of both versions side by side
      as_engine setsid "${alone[@]}" podman --root "$state/data" --runroot "$state/r" --storage-driver overlay \
        --cgroup-manager cgroupfs --events-backend file --runtime runc system service --time=0 "unix://$socket"
      ;;
    gvisor | remapped)
      needs dockerd
      ((EUID == 0)) || fail "$kind needs root"
      local more=()
      if [[ $kind = remapped ]]; then
        more=(--userns-remap "$user:$user")
      else
        needs runsc
        # Debian's runsc wants to set up a network even in a namespace that has none
        echo '{"runtimes": {"runsc": {"path": "/usr/bin/runsc", "runtimeArgs": ["--network=none"]}}}' >"$state/daemon.json"
        more=(--config-file "$state/daemon.json")
      fi
      as_engine setsid unshare --net -- dockerd --host "unix://$socket" --data-root "$state/data" \
        --exec-root "$state/r" --pidfile "$state/run/pid" --bridge=none --iptables=false "${more[@]}"
      ;;
    *) fail "no such engine: $kind" ;;
  esac
}

start() {
  needs curl docker
  if ! answers; then
    prepare
    rm -f "$socket"
    serve </dev/null >"$state/log" 2>&1 &
    local tick
    for ((tick = 0; tick < 150; tick++)); do
      ! answers || break
      kill -0 $! 2>/dev/null || break
      sleep 0.2
    done
    answers || { tail -n 10 "$state/log" >&2; fail "$kind does not answer"; }
    ((EUID != 0)) || chmod 0666 "$socket"
  fi
  [[ $(api "/v1.40/images/$image/json") = *Config* ]] ||
    docker save "$image" | curl --silent --fail --max-time 300 --unix-socket "$socket" -X POST \
      --header 'Content-Type: application/x-tar' --data-binary @- http://engine/v1.40/images/load >&2
  echo "unix://$socket"
}

# The processes of this engine: those that have its home in their environment.
processes() {
  local entry
  for entry in /proc/[0-9]*; do
    if { tr '\0' '\n' <"$entry/environ"; } 2>/dev/null | grep --quiet --line-regexp "HOME=$state/home"; then
      echo "${entry#/proc/}"
    fi
  done
}

stop() {
  processes | xargs --no-run-if-empty kill 2>/dev/null || true
  sleep 1
  processes | xargs --no-run-if-empty kill -9 2>/dev/null || true
  awk -v place="$state/" 'index($2, place) == 1 {print $2}' /proc/mounts | sort -r | xargs -r -n1 umount --lazy || true
  rm -rf "$state" 2>/dev/null || podman unshare rm -rf "$state"
  if ((EUID == 0)) && ! compgen -G "$base/r*" >/dev/null && id "$user" >/dev/null 2>&1; then userdel "$user"; fi
  rmdir --ignore-fail-on-non-empty "$base"
}

case $verb in
  start) start ;;
  stop) stop ;;
  *) fail "engines.sh start|stop KIND" ;;
esac
