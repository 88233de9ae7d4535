# title: a call of the x32 interface, which no filter for x86-64 names
# expect: B
# unsandboxed: no-marker
# outcome: crashed error

if os.uname().machine != "x86_64":
    raise SystemExit(1)
result = call(0x40000000 + NR["getpid"])
escaped("x32 answered", result)
