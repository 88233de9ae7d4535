# title: more descriptors than a process may have
# expect: B
# unsandboxed: no-marker

held = []
try:
    while len(held) < 5000:
        held.append(os.open("/dev/null", os.O_RDONLY))
except OSError as error:
    print("stopped:", errno.errorcode[error.errno], len(held) < 1024)
if len(held) > 1024 and os.uname().nodename == "sandbox":
    escaped(len(held), "descriptors")
