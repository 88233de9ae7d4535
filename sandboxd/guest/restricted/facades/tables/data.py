"""Data structures, records, and the binary and textual formats they are kept in."""

from __future__ import annotations

from sandboxd.guest.restricted.facades import dataclassing
from sandboxd.guest.restricted.facades.tables.entry import Entry

TABLE = {
    "array": Entry("ArrayType array typecodes"),
    "base64": Entry(
        "a85decode a85encode b16decode b16encode b32decode b32encode b32hexdecode b32hexencode b64decode"
        " b64encode b85decode b85encode decodebytes encodebytes standard_b64decode standard_b64encode"
        " urlsafe_b64decode urlsafe_b64encode z85decode z85encode"
    ),
    "binascii": Entry(
        "Error Incomplete a2b_base64 a2b_hex a2b_qp a2b_uu b2a_base64 b2a_hex b2a_qp b2a_uu crc32 crc_hqx"
        " hexlify unhexlify"
    ),
    "collections": Entry(
        "ChainMap Counter OrderedDict UserDict UserList defaultdict deque namedtuple",
        children="abc",
        # Its format() and format_map() walk attributes by a string, on a receiver that is no str.
        hints={"UserString": "derive from str"},
    ),
    "collections.abc": Entry(
        "AsyncGenerator AsyncIterable AsyncIterator Awaitable Buffer Callable Collection Container Coroutine"
        " Generator Hashable ItemsView Iterable Iterator KeysView Mapping MappingView MutableMapping"
        " MutableSequence MutableSet Reversible Sequence Set Sized ValuesView"
    ),
    "copy": Entry(
        # dispatch_table is the registry of every library's constructors.
        "Error copy deepcopy replace"
    ),
    "csv": Entry(
        "Dialect DictReader DictWriter Error QUOTE_ALL QUOTE_MINIMAL QUOTE_NONE QUOTE_NONNUMERIC"
        " QUOTE_NOTNULL QUOTE_STRINGS Sniffer excel excel_tab field_size_limit get_dialect list_dialects"
        " reader register_dialect unix_dialect unregister_dialect writer"
    ),
    "dataclasses": Entry(
        "FrozenInstanceError InitVar KW_ONLY MISSING asdict astuple field fields is_dataclass replace",
        wrapped={"dataclass": dataclassing.dataclass},
        implicit="inspect",
        # make_dataclass takes names as strings and puts any in the namespace of a class.
        hints={"make_dataclass": "write the class with @dataclass"},
    ),
    "io": Entry(
        "BytesIO SEEK_CUR SEEK_END SEEK_SET StringIO UnsupportedOperation",
        hints={"open": "there are no files here; StringIO and BytesIO keep text and bytes in memory"},
    ),
    "json": Entry("JSONDecodeError JSONDecoder JSONEncoder dump dumps load loads"),
    "queue": Entry("Empty Full LifoQueue PriorityQueue Queue SimpleQueue"),
    "struct": Entry("Struct calcsize error iter_unpack pack pack_into unpack unpack_from"),
    "tomllib": Entry("TOMLDecodeError load loads"),
    "types": Entry(
        "MappingProxyType NoneType SimpleNamespace",
        # The others make functions, code, frames and modules.
    ),
    "zlib": Entry(
        "DEFLATED MAX_WBITS Z_BEST_COMPRESSION Z_BEST_SPEED Z_DEFAULT_COMPRESSION adler32 compress"
        " compressobj crc32 decompress decompressobj error"
    ),
}
