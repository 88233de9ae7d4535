# title: open a file by its handle, past every mount
# expect: B
# unsandboxed: escapes

handle = ctypes.create_string_buffer(b"\x80\0\0\0" + bytes(132))
mount = ctypes.c_int()
judge(
    {
        "name_to_handle_at": call(
            NR["name_to_handle_at"], -100, b"/", ctypes.addressof(handle), ctypes.addressof(mount), 0
        ),
        "open_by_handle_at": call(NR["open_by_handle_at"], -100, ctypes.addressof(handle), 0),
        "high bits": call(
            NR["open_by_handle_at"], -100 & 0xFFFFFFFF | 1 << 32, ctypes.addressof(handle), 1 << 32
        ),
    }
)
