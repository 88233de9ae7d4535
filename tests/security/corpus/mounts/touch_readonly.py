# title: change what Landlock does not look at, times and modes, of every file that is bound in
# expect: B
# unsandboxed: no-marker

results = set()
for top, directories, names in [*os.walk("/usr"), *os.walk("/var")]:
    for name in [*directories, *names][:50]:
        path = os.path.join(top, name)
        if not os.path.islink(path):
            for result in (attempt(os.utime, path), attempt(os.chmod, path, 0o777)):
                results.add(result)
                if result == "ok":
                    escaped(path)
print("stopped:", *sorted(results))
