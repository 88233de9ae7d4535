# title: prctl options that undo a protection: dumpable, tracer, memory map, capabilities, seccomp, dispatch
# expect: B
# unsandboxed: escapes

options = {
    "parent-death signal": (1, 0),
    "dumpable": (4, 1),
    "seccomp": (22, 2, 0),
    "capability bounding set": (24, 40),
    "secure bits": (28, 0),
    "mm": (35, 1, 0),
    "ambient": (47, 2, 21),
    "tracer": (0x59616D61, -1),
    "dispatch": (59, 0, 0, 0, 0),
    "core scheduling": (62, 1, 0, 0, 0),
    "speculation": (53, 0, 2),
}
results = {}
for name, arguments in options.items():
    results[name] = call(NR["prctl"], *arguments)
    results[name + ", high bits"] = call(NR["prctl"], arguments[0] | 1 << 32, *arguments[1:])
judge(results)
