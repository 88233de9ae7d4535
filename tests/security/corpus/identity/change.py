# title: become another user or gain a capability
# expect: B
# unsandboxed: not-run

header = (ctypes.c_int * 2)(0x20080522, 0)
data = (ctypes.c_uint * 6)(*[0xFFFFFFFF] * 6)
results = {
    name: call(number, 0, 0, 0)
    for name, number in {
        "setuid": NR["setuid"],
        "setgid": NR["setgid"],
        "setreuid": NR["setreuid"],
        "setresuid": NR["setresuid"],
        "setresgid": NR["setresgid"],
        "setfsuid": NR["setfsuid"],
        "setgroups": NR["setgroups"],
    }.items()
}
results["capset"] = call(NR["capset"], ctypes.addressof(header), ctypes.addressof(data))
judge(results)
