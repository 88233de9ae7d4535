#!/usr/bin/env bash
# As root: run the tests marked `userns` once more as an ordinary user, in a copy of the tree that this user owns.
# The copy is needed because the tree, and often the interpreter too, stands below a home that others may not enter.
# Arguments go to pytest. SANDBOXD_TEST_UID chooses the user (default: nobody's id, which needs no account of its own).
set -euo pipefail
[ "$(id -u)" = 0 ] || exit 0
cd "$(dirname "$0")/.."
uid=${SANDBOXD_TEST_UID:-65534}
home=/var/tmp/sandboxd-test-$uid

cgroups=()
as_user() {
    setpriv --reuid "$uid" --regid "$uid" --clear-groups --inh-caps=-all --no-new-privs \
        env -i HOME="$home" USER="sandboxd-test-$uid" PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 ${CI:+CI="$CI"} \
        ${PIP_FIND_LINKS:+PIP_FIND_LINKS="$PIP_FIND_LINKS"} ${PIP_INDEX_URL:+PIP_INDEX_URL="$PIP_INDEX_URL"} \
        ${PIP_CERT:+PIP_CERT="$PIP_CERT"} SANDBOXD_TEST_CGROUPS="$(IFS=:; echo "${cgroups[*]:-}")" "$@"
}

find_python() {
    local name
    for name in "${PYTHON:-python3}" python3 python3.14 python3.13 python3.12 python3.11; do
        if as_user "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    echo "run_as_user: user $uid finds no Python 3.11 or newer with venv: sudo apt install python3 python3-venv" >&2
    return 1
}

[ -e "$home" ] || install -d -m 0700 -o "$uid" -g "$uid" "$home"
if [ -L "$home" ] || [ "$(stat -c %u "$home")" != "$uid" ]; then
    echo "run_as_user: $home is not a directory of user $uid: remove it" >&2
    exit 1
fi
# What systemd's Delegate=yes would give: cgroups of this user's own (v1 alone: v2 moves no process across branches).
for controller in memory pids cpuacct; do
    directory=/sys/fs/cgroup/$controller/sandboxd-test-$uid
    if [ -e "/sys/fs/cgroup/$controller/cgroup.procs" ] && mkdir -p "$directory" 2>/dev/null; then
        chown -R "$uid" "$directory"
        cgroups+=("$directory")
    fi
done
group=
trap '[ ${#cgroups[@]} = 0 ] || find "${cgroups[@]}" -depth -type d -exec rmdir {} +
    [ -z "$group" ] || rmdir "$group"/sandboxd-supervisor "$group" 2>/dev/null || true' EXIT
python=$(find_python)
echo "run_as_user: as uid $uid with $(as_user "$python" -V) in $home"
# The user unpacks, so that root writes nothing below a directory which another one owns.
as_user bash -c 'cd && mkdir -p tree && find tree -mindepth 1 -maxdepth 1 ! -name .venv -exec rm -rf {} +'
tar --create --exclude=./.git --exclude=./.venv --exclude=./demo-output --exclude='./.*_cache' \
    --exclude='*.egg-info' --exclude=__pycache__ . | as_user tar --extract --no-same-owner --directory "$home/tree"
as_user make --no-print-directory -C "$home/tree" PYTHON="$python" .venv/.ready
as_user bash -c 'cd ~/tree && exec .venv/bin/python -m pytest -m userns "$@"' bash "$@"
case " $* " in
*" --update-golden "*) # what this user's run found belongs beside root's
    for file in "$home"/tree/tests/security/golden/user_*.json; do
        as_user cat "$file" >"tests/security/golden/${file##*/}"
    done
    ;;
esac

# Once more in a cgroup v2 group that was delegated to this user, as systemd's Delegate=yes does it: there the freezer is due.
unified=/sys/fs/cgroup
[ -e $unified/cgroup.controllers ] || unified=/sys/fs/cgroup/unified
group=$unified/sandboxd-test-$uid
mkdir "$group" 2>/dev/null || { echo "run_as_user: no cgroup can be made in $unified: nothing to delegate"; exit 0; }
chown "$uid:$uid" "$group" "$group"/cgroup.{procs,threads,subtree_control}
(
    echo $BASHPID >"$group/cgroup.procs"
    as_user bash -c 'cd ~/tree && SANDBOXD_TEST_DELEGATED=1 exec .venv/bin/python -m pytest "$@"' bash \
        tests/integration/jail/test_jail_freezer.py -k "frozen or moved" "$@"
)
