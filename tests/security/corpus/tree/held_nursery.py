# title: close the socket of fork orders, or hold it open in a process that outlives the cell
# expect: C
# unsandboxed: not-run

if os.fork() == 0:
    os.setsid()
    signal.pause()
os.close(4)
# --- clone
print("a clone all the same")
# --- again
print("goes on")
