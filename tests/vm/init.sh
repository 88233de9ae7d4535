#!/bin/busybox sh
# The machine's first process: this host's file system becomes the root, read-only; what must be written to is in memory.
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
for module in /modules/*.ko; do
    $b insmod "$module" || echo "sandboxd-vm: $module cannot be loaded"
done
$b mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=512000 host /root
$b mount --move /dev /root/dev
$b mount --move /proc /root/proc
$b mount --move /sys /root/sys
$b mkdir -p /root/dev/shm
$b mount -t tmpfs shm /root/dev/shm
$b mount -t cgroup2 cgroup /root/sys/fs/cgroup
$b mount -t tmpfs run /root/run
$b cp /inside.sh /root/run/inside.sh
exec $b switch_root /root /bin/sh /run/inside.sh
