# title: find what another box of the same zygote left in memory
# expect: C
# unsandboxed: not-run

secret = os.urandom(16)
kept = bytearray(secret * 10000)
print(bytes(255 - byte for byte in secret).hex())
# --- next
token = bytes(255 - byte for byte in bytes.fromhex(PREVIOUS.split()[0]))
found = 0
for line in open("/proc/self/maps"):
    span, modes = line.split()[:2]
    if modes.startswith("rw") and "[v" not in line:
        start, end = (int(part, 16) for part in span.split("-"))
        if end - start < 64 << 20:
            found += ctypes.string_at(start, end - start).count(token)
print("copies of its own", found < 50)
if found >= 50:
    escaped("another box's memory", found)
