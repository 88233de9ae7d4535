# title: pid 1 through /proc: memory, root, working directory, descriptors, namespaces, environment
# expect: B
# unsandboxed: escapes

names = "mem root cwd exe fd ns environ maps status cmdline stat map_files task io syscall stack".split()
judge({name: attempt(os.stat, "/proc/1/" + name) for name in names}, ("ENOENT", "EACCES"))
