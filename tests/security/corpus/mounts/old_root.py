# title: what is stacked above the root: "..", /proc/self/root, a directory descriptor kept open
# expect: B
# unsandboxed: no-marker

top = os.stat("/")
fd = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
ways = {
    "..": lambda: os.stat("/.."),
    "many": lambda: os.stat("/" + "../" * 64),
    "proc": lambda: os.stat("/proc/self/root/.."),
    "cwd": lambda: os.stat("/proc/self/cwd/../.."),
    "descriptor": lambda: os.stat("..", dir_fd=fd),
    "changed": lambda: (os.chdir("/"), os.chdir(".."), os.stat("."))[2],
}
for name, way in ways.items():
    found = way()
    if (found.st_dev, found.st_ino) != (top.st_dev, top.st_ino):
        escaped(name, "leads to another root")
print(sorted(os.listdir("/..")) == sorted(os.listdir("/")))
