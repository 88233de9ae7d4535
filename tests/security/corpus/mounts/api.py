# title: every mount call of both interfaces, also with odd high bits
# expect: B
# unsandboxed: not-run

high = 1 << 32
judge(
    {
        "mount": call(NR["mount"], b"none", b"/tmp", b"tmpfs", 0, None),
        "bind": call(NR["mount"], b"/", b"/tmp", None, 4096 | 16384, None),
        "remount": call(NR["mount"], None, b"/", None, 32, None),
        "umount": call(NR["umount2"], b"/work", 2),
        "pivot_root": call(NR["pivot_root"], b"/", b"/work"),
        "chroot": call(NR["chroot"], b"/work"),
        "fsopen": call(NR["fsopen"], b"tmpfs", 0),
        "fspick": call(NR["fspick"], -100, b"/", 0),
        "fsconfig": call(NR["fsconfig"], -1, 6, 0, 0, 0),
        "fsmount": call(NR["fsmount"], -1, 0, 0),
        "open_tree": call(NR["open_tree"], -100, b"/", 1),
        "open_tree, high bits": call(NR["open_tree"], -100 & 0xFFFFFFFF | high, b"/", 1 | high),
        "move_mount": call(NR["move_mount"], -100, b"/work", -100, b"/tmp", 0),
        "mount_setattr": call(NR["mount_setattr"], -100, b"/", 0x8000, None, 0),
    }
)
results = {
    name: call(number, 0, 0, 0, 0)
    for name, number in {"statmount": 457, "listmount": 458, "open_tree_attr": 467}.items()
}
judge(results)
