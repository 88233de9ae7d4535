# title: flood stdout, stderr and displays at once, from children too
# expect: K
# unsandboxed: not-run
# outcome: output_limit timeout_wall ok
# limits: output_kib=64 pids=8
# timeout: 1

for _ in range(3):
    if os.fork() == 0:
        while True:
            os.write(1, b"o" * 65536)
            os.write(2, b"e" * 65536)
while True:
    print("p" * 10000)
