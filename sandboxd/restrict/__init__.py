"""Layer 2: RestrictedPython's compiler, opened for what models write, closed where it always was.

It runs in the screener process on the environment's own interpreter, as a package of its own: nothing of ours may be
imported here, only the standard library and RestrictedPython. `compile_program` gives what the guest runs in place of the
text; it refuses what it cannot guard, with line and column, and never raises.

Theory of operation. RestrictedPython sends every access through a hook. Here a hook stands where an access can lead out of
the program, and Python's own instruction where it cannot:

- Attribute loads are guarded for the names that lead somewhere on some object: private names, dunders, `format`, `obj`.
  Names of frames, code and coroutines are refused outright. Any other name is a plain load, which is sound because modules
  never reach a program: it has facades, whose members are all that a plain load finds.
- Attribute stores are guarded always: what is not the program's own must stay as it is.
- Items, iteration, unpacking, calls and in-place operators are Python's own. Each of them only asks an object that the
  program already holds for what that object's type offers; an object whose items must not be had is never handed out.
- Imports go to a private hook, so that the `__import__` of C code stays whole; classes are built by a guarded builder.

The hooks' names hold a dot, so no source text can spell, bind or shadow one: there is no list of binders to be complete
(CVE-2026-55830).
"""

from .program import FORMAT, Compiled, compile_program

__all__ = ("FORMAT", "Compiled", "compile_program")
