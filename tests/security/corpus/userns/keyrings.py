# title: leave a key in a keyring, which no namespace divides, for the next box of the same id
# expect: B
# unsandboxed: escapes

results = {
    "add_key %d" % ring: call(NR["add_key"], b"user", b"sandboxd-attack", b"x", 1, ring)
    for ring in (-1, -2, -3, -4, -5)
}
results |= {
    "keyctl %d" % number: call(NR["keyctl"], number, -3, 0, 0, 0) for number in (0, 1, 3, 6, 8, 10, 11, 22)
}
results |= {"request_key": call(NR["request_key"], b"user", b"sandboxd-attack", None, -3)}
results |= {"keyctl, high bits": call(NR["keyctl"], 1 << 32, -3, 0)}
judge(results)
# --- next
if call(NR["request_key"], b"user", b"sandboxd-attack", None, -3) == "ok":
    escaped("the key of another box")
