# title: the ways into the page cache of shared, read-only files: splice, vmsplice, sendfile, AF_ALG, O_DIRECT, MAP_SHARED
# expect: B
# unsandboxed: escapes

import mmap

read, write = os.pipe()
library = os.open(os.__file__, os.O_RDONLY)
page = ctypes.create_string_buffer(8)
word = (ctypes.c_ulong * 2)(ctypes.addressof(page), 8)
results = {
    "splice": call(NR["splice"], library, 0, write, 0, 1, 0),
    "tee": call(NR["tee"], read, write, 1, 0),
    "vmsplice": call(NR["vmsplice"], write, ctypes.addressof(word), 1, 0),
    "sendfile": call(NR["sendfile"], write, library, 0, 1),
    "copy_file_range": call(NR["copy_file_range"], library, 0, write, 0, 1, 0),
    "AF_ALG": call(NR["socket"], 38, 5, 0),
}
judge(results)
shared = attempt(lambda: mmap.mmap(library, 4096, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE))
if shared == "ok":
    escaped("a writable shared mapping of a read-only file")
