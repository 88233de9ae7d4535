"""Modules that are part of how Python is written: classes, types, contexts, and a little of the interpreter."""

from __future__ import annotations

from sandboxd.guest.restricted.facades import decorators, system
from sandboxd.guest.restricted.facades.output import output
from sandboxd.guest.restricted.facades.tables.entry import Entry
from sandboxd.guest.restricted.metaclasses import metaclass

_NOT_EVALUATED = "annotations are not evaluated here"
_HANDLED = "format_exc() and print_exc() tell the exception being handled"

TABLE = {
    "__future__": Entry(
        "absolute_import annotations division generator_stop generators nested_scopes print_function"
        " unicode_literals with_statement"
    ),
    "abc": Entry(
        "ABC", wrapped={"ABCMeta": metaclass("ABCMeta"), "abstractmethod": decorators.abstractmethod}
    ),
    "contextlib": Entry(
        "AbstractAsyncContextManager AbstractContextManager AsyncContextDecorator AsyncExitStack"
        " ContextDecorator ExitStack aclosing asynccontextmanager closing contextmanager nullcontext suppress",
        sealed="redirect_stderr redirect_stdout",
    ),
    "enum": Entry(
        "CONFORM CONTINUOUS EJECT Enum EnumCheck Flag FlagBoundary IntEnum IntFlag KEEP NAMED_FLAGS ReprEnum STRICT"
        " StrEnum UNIQUE auto member nonmember unique verify",
        # It reads the attribute that it names, of the class that it names (3.12 and up): both are the instance's own.
        sealed="property",
        wrapped={"EnumMeta": metaclass("EnumMeta"), "EnumType": metaclass("EnumType")},
        # global_enum writes to the module that a class says it is of.
    ),
    "keyword": Entry("iskeyword issoftkeyword kwlist softkwlist"),
    "sys": Entry(
        "byteorder float_info getrecursionlimit getsizeof int_info maxsize maxunicode platform version"
        " version_info",
        wrapped={"setrecursionlimit": system.setrecursionlimit},
        dynamic={"stderr": output("stderr"), "stdout": output("stdout")},
        hints={
            "exit": "let the program end by itself, or raise an exception",
            "stdin": "nobody types here: write the values into the code",
            "argv": "there are no arguments",
        },
    ),
    "traceback": Entry(
        wrapped={"format_exc": system.format_exc, "print_exc": system.print_exc},
        implicit="ast linecache tokenize",
        hints={"format_exception": _HANDLED, "print_exception": _HANDLED, "format_tb": _HANDLED},
    ),
    "typing": Entry(
        "AbstractSet Annotated Any AnyStr AsyncContextManager AsyncGenerator AsyncIterable AsyncIterator"
        " Awaitable Callable ChainMap ClassVar Collection Concatenate Container ContextManager Coroutine"
        " Counter DefaultDict Deque Dict Final FrozenSet Generator Generic Hashable ItemsView Iterable"
        " Iterator KeysView List Literal LiteralString Mapping MappingView Match MutableMapping"
        " MutableSequence MutableSet NamedTuple Never NewType NoReturn NotRequired Optional OrderedDict"
        " ParamSpec Pattern Protocol ReadOnly Required Reversible Self Sequence Set Sized SupportsAbs"
        " SupportsBytes SupportsComplex SupportsFloat SupportsIndex SupportsInt SupportsRound TYPE_CHECKING"
        " Text Tuple Type TypeAlias TypeGuard TypeIs TypeVar TypeVarTuple TypedDict Union Unpack ValuesView"
        " assert_never assert_type cast is_typeddict overload",
        wrapped={
            "final": decorators.mark("final"),
            "override": decorators.mark("override"),
            "runtime_checkable": decorators.runtime_checkable,
        },
        # These evaluate text, or hand out what does (get_args of a quoted annotation: a ForwardRef).
        hints={"get_type_hints": _NOT_EVALUATED, "ForwardRef": _NOT_EVALUATED, "get_args": _NOT_EVALUATED},
    ),
    "warnings": Entry("filterwarnings simplefilter warn", implicit="linecache re tokenize tracemalloc"),
}
