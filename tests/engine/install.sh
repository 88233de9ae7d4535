#!/usr/bin/env bash
# In CI, as root: install what the container tests need from the distribution. People install it themselves, or do without.
set -euo pipefail
[ -n "${CI:-}" ] && [ "$(id -u)" = 0 ] || exit 0
missing=()
for pair in dockerd:docker.io runc:runc runsc:runsc debootstrap:debootstrap; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
[ ${#missing[@]} = 0 ] && exit 0
if ! command -v apt-get >/dev/null; then
    echo "install: the container tests need ${missing[*]}, and there is no apt-get to install them with" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# RUNLEVEL=1: the package starts no engine of its own. The tests bring theirs, and leave the machine's alone.
RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
