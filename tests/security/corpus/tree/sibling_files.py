# title: a clone reaches its original's files: by absolute path, through /proc, by a descriptor that it was born with
# expect: B
# unsandboxed: not-run

with open("/work/secret", "w") as file:
    file.write("of the original")
directory = os.open("/work", os.O_PATH)
# --- clone
def read(path, **more):
    with open(os.open(path, os.O_RDONLY, **more)) as file:
        return file.read()


found = []
for path in ("/work/secret", "/proc/self/root/work/secret", "/clones/../work/secret", os.path.realpath("..") + "/../work/secret"):
    try:
        if read(path) == "of the original":
            escaped("read", path)
    except OSError as error:
        print(errno.errorcode[error.errno])
for action in (lambda: open("/work/secret", "w"), lambda: open("/work/new", "w"), lambda: os.rename("secret", "/work/secret"), lambda: os.unlink("/work/secret"), lambda: os.listdir("/work")):
    try:
        action()
    except OSError as error:
        print(errno.errorcode[error.errno])
    else:
        escaped("changed or listed the original's directory")
if read("secret") != "of the original":
    escaped("no copy of its own")
open("secret", "w").write("of the clone")
# --- again
try:
    kept = open("/work/secret").read() == "of the original" and os.listdir("/work") == ["secret"]
except OSError:
    kept = False
if not kept:
    escaped("the original's files were changed")
