#!/bin/sh
# Last steps inside the image, the same for the Dockerfile and for build.sh.
set -eu
ln -sf python3 /usr/bin/python
groupadd --gid 1000 coder
useradd --uid 1000 --gid 1000 --home-dir /home/coder --create-home --shell /bin/bash coder
mkdir -p /workspace
chown 1000:1000 /workspace
# For git inside only. The workspace belongs to another user when the image is used by hand.
cat > /etc/gitconfig <<'GIT'
[user]
	name = coder
	email = coder@localhost
[safe]
	directory = *
[core]
	hooksPath = /dev/null
	fsmonitor = false
[advice]
	detachedHead = false
[gc]
	auto = 0
GIT
# Nothing in a sandbox may gain rights by being run.
find / -xdev -type f -perm /6000 -exec chmod a-s {} +
