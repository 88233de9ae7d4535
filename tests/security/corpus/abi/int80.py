# title: a call of the 32-bit interface by int 0x80
# expect: B
# unsandboxed: no-marker
# outcome: crashed error

import mmap

if os.uname().machine != "x86_64":
    raise SystemExit(1)
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(bytes.fromhex("b814000000cd80c3"))  # mov eax, 20 (getpid); int 0x80; ret
result = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
escaped("int 0x80 answered", result)
