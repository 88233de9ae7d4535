# Runs as the machine's pid 1, after lines that set: project, python, prefix, uid, seed, only.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 HOME=/tmp
export PYTHONDONTWRITEBYTECODE=1 COLUMNS=120 SANDBOXD_TEST_SLOWNESS=4
exec </dev/null >/dev/ttyS0 2>&1
ip link set lo up 2>/dev/null

# The project, its virtual environment and the interpreter may stand below a directory that is covered, or closed to others.
hold() {
    mkdir -p "/run/hold$1"
    mount --bind "$1" "/run/hold$1"
}
opened() {
    for closed in /root /home/*; do
        [ -d "$closed" ] || continue
        case $(stat -c %A "$closed") in *x) ;; *) echo "$closed" ;; esac
    done
}
hold "$project"
hold "$prefix"
for place in /tmp /var/tmp $(opened); do
    case $place in /tmp | /var/tmp) mode=1777 ;; *) mode=755 ;; esac
    mount -t tmpfs -o mode=$mode tmpfs "$place"
done
for path in "$prefix" "$project"; do
    [ -e "$path" ] || { mkdir -p "$path" && mount --bind "/run/hold$path" "$path"; }
done
cd "$project" || exit 1

echo "sandboxd-vm: Linux $(uname -r), up $(cut -d ' ' -f 1 /proc/uptime) s, controllers: $(cat /sys/fs/cgroup/cgroup.controllers)"

# part NAME COMMAND...: runs it and tells the outcome.
part() {
    name=$1
    shift
    echo "sandboxd-vm: begin $name"
    "$@"
    echo "sandboxd-vm: end $name: $?, up $(cut -d ' ' -f 1 /proc/uptime) s"
}
# Plugins that no test here uses are not loaded: an emulated import takes seconds.
pytest="$python -m pytest -p no:cacheprovider -p no:hypothesispytest -p no:anyio --color=no -q --timeout 300"
pytest="$pytest --require=userns,v2"
# A group as a systemd unit with Delegate=yes has it: the daemon alone is in it, and may divide it.
delegated() {
    group=/sys/fs/cgroup/system.slice/sandboxd-$1.service
    mkdir -p "$group"
    echo "+memory +pids +cpu" >/sys/fs/cgroup/cgroup.subtree_control
    echo "+memory +pids +cpu" >/sys/fs/cgroup/system.slice/cgroup.subtree_control
    chown "$1:$1" "$group" "$group"/cgroup.procs "$group"/cgroup.threads "$group"/cgroup.subtree_control
}
as_service() {
    who=$1
    shift
    delegated "$who"
    install -d -o "$who" -g "$who" "/tmp/home-$who"
    (
        sh -c 'echo $PPID' >"$group/cgroup.procs"
        export SANDBOXD_TEST_DELEGATED=all HOME="/tmp/home-$who"
        # exec: were this shell in the group too, it would not be the daemon's alone.
        exec setpriv --reuid "$who" --regid "$who" --clear-groups --no-new-privs $pytest "$@"
    )
}

jail=tests/integration/jail
# An emulated processor is too slow for these: the tests' own search through /proc loses against a fork bomb.
quiet="not bomb and not any_moment and not opening"
few="test_ok or oom or limits_hit or memory_peak or usage or cpu_counts_the_children or wall_by_kill"
if [ -n "$only" ]; then
    part "root: $only" $pytest $only
elif [ -n "$seed" ]; then
    # One launcher alone: each takes ten seconds to start here.
    part "user in a delegated group" as_service "$uid" $jail/test_jail_v2.py -k "not second and not all_boxes"
else
    part "root at the top" $pytest $jail/test_jail_v2.py $jail/test_jail_outcomes.py $jail/test_jail_rest.py \
        $jail/test_jail_inside.py -k "not read_only"
    part "root, freezer through the daemon" $pytest $jail/test_jail_freezer.py
    part "root, nothing left" $pytest $jail/test_jail_cleanup.py -k "$quiet"
    part "root as a service" as_service 0 $jail/test_jail_v2.py $jail/test_jail_outcomes.py -k "test_v2 or $few"
    part "user in a delegated group" as_service "$uid" $jail/test_jail_v2.py $jail/test_jail_outcomes.py \
        $jail/test_jail_rest.py $jail/test_jail_freezer.py $jail/test_jail_cleanup.py -k "$quiet and not stopped"
fi
echo "sandboxd-vm: done"
echo o >/proc/sysrq-trigger
while :; do :; done
