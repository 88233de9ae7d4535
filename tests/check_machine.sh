#!/usr/bin/env bash
# Check what the machine must bring, and say how to get what is missing. $PYTHON is the interpreter to check.
set -euo pipefail
python=${PYTHON:-python3}
missing=0

complain() {
    printf 'sandboxd needs %s\n    %s\n' "$1" "$2" >&2
    missing=1
}

[ "$(uname -s)" = Linux ] || complain "Linux" "namespaces, seccomp and Landlock are the kernel's"
if ! command -v "$python" >/dev/null; then
    complain "Python 3.11 or newer ($python is not there)" "Debian, Ubuntu: sudo apt install python3 python3-venv"
elif ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    complain "Python 3.11 or newer ($python is $("$python" -V))" "name another one: make PYTHON=python3.12 ..."
else
    "$python" -c 'import venv, ensurepip' 2>/dev/null ||
        complain "the venv module" "Debian, Ubuntu: sudo apt install python3-venv"
    "$python" -c 'import ctypes; ctypes.CDLL("libseccomp.so.2")' 2>/dev/null ||
        complain "libseccomp" "Debian, Ubuntu: sudo apt install libseccomp2; Fedora: sudo dnf install libseccomp"
fi
exit "$missing"
