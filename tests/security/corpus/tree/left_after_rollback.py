# title: leave something that outlives a rollback: variables, files, processes
# expect: B
# unsandboxed: not-run
# pause: 0.3

import time

left = "variable"
open("left", "w").write("file")
open("/tmp/beats", "w").close()
if os.fork() == 0:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork() == 0:
        while True:
            with open("/tmp/beats", "a") as file:
                file.write("x")
            time.sleep(0.005)
    os._exit(0)
time.sleep(0.05)
# --- back
import time

if "left" in globals():
    escaped("a variable")
if os.path.exists("left"):
    escaped("a file")
before = os.path.getsize("/tmp/beats")
time.sleep(0.2)
if os.path.getsize("/tmp/beats") != before:
    escaped("a process runs on")
