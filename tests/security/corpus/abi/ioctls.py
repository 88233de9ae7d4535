# title: ioctls that type into a terminal or reach a driver, also with odd high bits
# expect: B
# unsandboxed: escapes

TIOCSTI, TIOCLINUX, TIOCSCTTY, RNDADDENTROPY, FIGETBSZ, FS_IOC_SETFLAGS, FIDEDUPERANGE = (
    0x5412,
    0x541C,
    0x540E,
    0x40085203,
    2,
    0x40086602,
    0xC0189436,
)
byte = ctypes.create_string_buffer(b"x" * 64)
file = os.open(".", os.O_RDONLY)
results = {
    (hex(request), fd, high): call(NR["ioctl"], fd, request | high, byte)
    for request in (TIOCSTI, TIOCLINUX, TIOCSCTTY, RNDADDENTROPY, FIGETBSZ, FS_IOC_SETFLAGS, FIDEDUPERANGE)
    for fd in (0, 1, 2, file)
    for high in (0, 1 << 32)
}
judge(results)
