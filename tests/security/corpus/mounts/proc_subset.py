# title: what /proc tells of the kernel and of its settings
# expect: B
# unsandboxed: escapes

names = "sys meminfo cpuinfo kallsyms keys modules cmdline version timer_list interrupts mounts sysvipc bus driver fs tty".split()
judge({name: attempt(os.stat, "/proc/" + name) for name in names}, ("ENOENT",))
