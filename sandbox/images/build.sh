#!/usr/bin/env bash
# Makes the Docker sandbox's images without an image registry, from Debian packages.
#
#   build.sh [--with node|rust|go|java]... [--tag NAME:TAG] [--force]
#
# The default tag is coder-sandbox:base; with languages it names them (coder-sandbox:node, coder-sandbox:go-node).
# Does nothing when the image was already made by this recipe; after the first time it needs no network either
# (the packed file system is kept in $CODER_IMAGE_CACHE, default ~/.cache/coder/images).
# Needs root, apt, a Debian mirror and a Python package index; DOCKER_HOST is honoured.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tag=
force=no
languages=()
while (($#)); do
  case $1 in
    --tag) tag=${2:?--tag needs a name}; shift 2 ;;
    --force) force=yes; shift ;;
    --with)
      case ${2:-} in
        node | rust | go | java) languages+=("$2"); shift 2 ;;
        *) echo "build.sh: --with takes node, rust, go or java" >&2; exit 2 ;;
      esac ;;
    -h | --help) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit ;;
    *) echo "build.sh: unknown option $1" >&2; exit 2 ;;
  esac
done

# the newer release has compilers that today's lock files and manifests want
release=bookworm python_version=3.11 extras='' checks=''
with=$(printf '%s\n' "${languages[@]}" | sort -u | paste -sd-)
[[ -z $with ]] || release=trixie python_version=3.13
for language in ${with//-/ }; do
  case $language in
    node) extras+=' nodejs npm g++' checks+=' && node --version && npm --version' ;;
    rust) extras+=' cargo rustc gcc libc6-dev pkg-config' checks+=' && cargo --version && rustc --version' ;;
    go) extras+=' golang-go gcc libc6-dev' checks+=' && go version' ;;
    java) extras+=' default-jdk-headless maven' checks+=' && java -version && mvn --version' ;;
  esac
done
tag=${tag:-coder-sandbox:${with:-base}}
packages=ca-certificates,file,git,make,patch,procps,python3,python3-pip,python3-setuptools,python3-venv,ripgrep
cache=${CODER_IMAGE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/coder/images}
recipe=$(cat "$here/build.sh" "$here/finish.sh" - <<<"$with" | sha256sum | cut -c1-12)
packed=$cache/$release-${with:-base}-$recipe.tar

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

add_languages() {
  local root=$1
  say "adding$extras"
  mount -t proc proc "$root/proc"
  # shellcheck disable=SC2086 # several packages
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive http_proxy="${http_proxy:-}" \
    chroot "$root" sh -euc 'apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@"' sh $extras \
    >>"$cache/build.log" 2>&1 || { tail -n 20 "$cache/build.log" >&2; fail "apt-get failed, see $cache/build.log"; }
}

make_tree() {
  local work=$1 root=$1/root
  say "installing Debian $release ($packages)"
  debootstrap --variant=minbase --include="$packages" "$release" "$root" >"$cache/build.log" 2>&1 ||
    { tail -n 20 "$cache/build.log" >&2; fail "debootstrap failed, see $cache/build.log"; }
  [[ -z $extras ]] || add_languages "$root"
  # fetched out here, where the package index is configured; installed in there, without a network
  say "adding pytest"
  python3 -m pip download --quiet --disable-pip-version-check --dest "$root/tmp/wheels" --only-binary :all: \
    --python-version "$python_version" --platform any --implementation py --abi none 'pytest>=8,<9' >>"$cache/build.log" 2>&1 ||
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
  if [[ -z $extras ]] && (($(awk '/^MemAvailable/ {print $2}' /proc/meminfo) > 4 * 1024 * 1024)); then
    mount -t tmpfs -o size=2g,mode=0755 tmpfs "$work" || say "building on disk"
  fi
  make_tree "$work"
  find "$cache" -maxdepth 1 -name "$release-${with:-base}-*.tar" ! -path "$packed" -delete
fi

say "importing into Docker"
docker import \
  --change 'ENV PATH=/opt/py/bin:/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 HOME=/home/coder' \
  --change 'WORKDIR /workspace' --change 'USER 1000:1000' --change 'CMD ["sleep", "infinity"]' \
  --change "LABEL coder.languages=$with" --change "LABEL coder.recipe=$recipe" "$packed" "$tag" >/dev/null
docker run --rm --network none "$tag" bash -c 'python3 --version && git --version && rg --version && pytest --version'"$checks" >/dev/null 2>&1 ||
  fail "the new image does not run"
say "$tag is ready"
