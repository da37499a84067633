#!/usr/bin/env bash
# Makes the Docker sandbox's base image without an image registry, from Debian packages.
#
#   build.sh [--tag NAME:TAG] [--force]        (default tag: coder-sandbox:base)
#
# Does nothing when the image was already made by this recipe; after the first time it needs no network either
# (the packed file system is kept in $CODER_IMAGE_CACHE, default ~/.cache/coder/images).
# Needs root, apt, a Debian mirror and a Python package index; DOCKER_HOST is honoured.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tag=coder-sandbox:base
force=no
while (($#)); do
  case $1 in
    --tag) tag=${2:?--tag needs a name}; shift 2 ;;
    --force) force=yes; shift ;;
    -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit ;;
    *) echo "build.sh: unknown option $1" >&2; exit 2 ;;
  esac
done

release=bookworm
packages=ca-certificates,file,git,make,patch,procps,python3,python3-pip,python3-setuptools,python3-venv,ripgrep
cache=${CODER_IMAGE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/coder/images}
recipe=$(cat "$here/build.sh" "$here/finish.sh" | sha256sum | cut -c1-12)
packed=$cache/$release-$recipe.tar

say() { echo "build.sh: $*" >&2; }
fail() { say "$*"; exit 1; }

docker version >/dev/null 2>&1 || fail "no Docker engine answers; sandbox/images/start-engine.sh can start one"
if [[ $force = no && $(docker image inspect --format '{{index .Config.Labels "coder.recipe"}}' "$tag" 2>/dev/null) = "$recipe" ]]; then
  say "$tag is up to date"
  exit
fi

mkdir -p "$cache"
exec {lock}>"$cache/lock"
flock "$lock" # a second build waits, and then finds what the first one packed

unmount_all() { # the deepest mount first; nothing may be left when the tree is removed
  local point
  while read -r point; do umount --lazy "$point"; done < <(awk -v top="$1" 'index($2, top) == 1 {print $2}' /proc/self/mounts | sort -r)
}

make_tree() {
  local work=$1 root=$1/root
  say "installing Debian $release ($packages)"
  debootstrap --variant=minbase --include="$packages" "$release" "$root" >"$cache/build.log" 2>&1 ||
    { tail -n 20 "$cache/build.log" >&2; fail "debootstrap failed, see $cache/build.log"; }
  # fetched out here, where the package index is configured; installed in there, without a network
  say "adding pytest"
  python3 -m pip download --quiet --disable-pip-version-check --dest "$root/tmp/wheels" --only-binary :all: \
    --python-version 3.11 --platform any --implementation py --abi none 'pytest>=8,<9' >>"$cache/build.log" 2>&1 ||
    { tail -n 5 "$cache/build.log" >&2; fail "pytest could not be downloaded"; }
  cp "$here/finish.sh" "$root/tmp/finish.sh"
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 chroot "$root" sh -euc '
    python3 -m venv --system-site-packages /opt/py
    /opt/py/bin/pip install --quiet --disable-pip-version-check --no-index --find-links /tmp/wheels pytest
    sh /tmp/finish.sh
    rm -rf /tmp/* /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/apt/archives/*.deb /var/log/*.log /var/log/apt
    rm -rf /usr/share/doc/* /usr/share/man/* /usr/share/info/* /root/.cache
    : >/etc/resolv.conf
    : >/etc/machine-id
    echo sandbox >/etc/hostname
  ' >>"$cache/build.log" 2>&1 || { tail -n 20 "$cache/build.log" >&2; fail "the set-up inside failed, see $cache/build.log"; }
  unmount_all "$root/"
  tar --create --file "$packed.part" --directory "$root" --numeric-owner --one-file-system .
  mv "$packed.part" "$packed"
}

if [[ $force = yes || ! -s $packed ]]; then
  ((EUID == 0)) || fail "installing a Debian system needs root (or use the Dockerfile)"
  if ! command -v debootstrap >/dev/null; then
    { apt-get install --yes -qq --no-install-recommends debootstrap ||
      { apt-get update -qq && apt-get install --yes -qq --no-install-recommends debootstrap; }; } >/dev/null 2>&1 ||
      fail "debootstrap is not there and could not be installed"
  fi
  work=$(mktemp -d "$cache/tree.XXXXXX")
  trap 'unmount_all "$work"; rm -rf --one-file-system "$work"' EXIT
  # dpkg writes every file through to the disk: in memory that costs nothing
  if (($(awk '/^MemAvailable/ {print $2}' /proc/meminfo) > 4 * 1024 * 1024)); then
    mount -t tmpfs -o size=2g,mode=0755 tmpfs "$work" || say "building on disk"
  fi
  make_tree "$work"
  find "$cache" -maxdepth 1 -name "$release-*.tar" ! -path "$packed" -delete
fi

say "importing into Docker"
docker import \
  --change 'ENV PATH=/opt/py/bin:/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 HOME=/home/coder' \
  --change 'WORKDIR /workspace' --change 'USER 1000:1000' --change 'CMD ["sleep", "infinity"]' \
  --change "LABEL coder.recipe=$recipe" "$packed" "$tag" >/dev/null
docker run --rm --network none "$tag" bash -c 'python3 --version && git --version && rg --version && pytest --version' >/dev/null ||
  fail "the new image does not run"
say "$tag is ready"
