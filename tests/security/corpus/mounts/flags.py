# title: a mount that is writable, or honours set-user-id bits or devices, where it should not
# expect: B
# unsandboxed: escapes

scratch = {"/work", "/clones", "/tmp", "/dev/shm"}
for line in open("/proc/self/mountinfo"):
    place, options = line.split()[4], set(line.split()[5].split(","))
    is_device = place.startswith("/dev/") and place not in scratch
    wanted = {"nosuid"}
    wanted |= {"noexec"} if place in scratch or place == "/proc" or is_device else set()
    wanted |= {"nodev"} if not is_device else set()
    wanted |= {"ro"} if place not in scratch and place != "/proc" and not is_device else set()
    if not wanted <= options:
        escaped(place, "lacks", sorted(wanted - options))
print("looked")
