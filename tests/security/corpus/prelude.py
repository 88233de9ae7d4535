import ctypes, errno, os, signal

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def escaped(*what):
    print("ESC" + "APED", *what)


def call(number, *arguments):
    """Make a raw system call; return "ok" or the name of its error."""
    ctypes.set_errno(0)
    words = [a if isinstance(a, (bytes, type(None), ctypes.Array, ctypes._SimpleCData)) else ctypes.c_long(a) for a in arguments]
    words = [ctypes.byref(a) if isinstance(a, ctypes.Array) else a for a in words]
    result = _libc.syscall(ctypes.c_long(number), *words)
    return errno.errorcode.get(ctypes.get_errno(), "E?") if result < 0 else "ok"


def attempt(action, *arguments):
    """Do it; return "ok" or the name of its error."""
    try:
        action(*arguments)
    except OSError as error:
        return errno.errorcode.get(error.errno, "E?")
    except (ValueError, OverflowError) as error:
        return type(error).__name__
    return "ok"


def judge(results, refused=("EPERM", "ENOSYS")):
    """Say what stopped each of `results` (name to error); an error of the kernel behind the filter is an escape."""
    print("stopped:", *sorted(set(results.values())))
    through = {name: result for name, result in results.items() if result not in refused}
    if through:
        escaped(through)
