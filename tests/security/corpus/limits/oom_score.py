# title: have another process die first when memory runs out
# expect: B
# unsandboxed: no-marker

results = {}
for path in ("/proc/self/oom_score_adj", "/proc/self/oom_adj", "/proc/1/oom_score_adj"):
    results[path] = attempt(lambda path=path: open(path, "w").write("-1000"))
print("stopped:", *sorted(set(results.values())))
score = int(open("/proc/self/oom_score_adj").read())
print("score", score)
if os.uname().nodename == "sandbox" and score < 1000:
    escaped("oom score", score)
