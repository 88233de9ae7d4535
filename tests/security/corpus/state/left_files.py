# title: leave files, names and shared memory for the next box
# expect: C
# unsandboxed: not-run

for directory in ("/work", "/tmp", "/dev/shm"):
    open(directory + "/left-by-the-last", "w").write("x")
try:
    from multiprocessing import shared_memory

    shared_memory.SharedMemory("left-by-the-last-2", create=True, size=64)
except (ImportError, OSError) as error:
    print(type(error).__name__)
# --- next
left = [entry for place in ("/work", "/tmp", "/dev/shm") for entry in os.listdir(place)]
if left:
    escaped(left)
