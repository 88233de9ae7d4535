"""What a class pattern reads by position: the attributes that the class's `__match_args__` names, where no guard stands."""

from __future__ import annotations

from sandboxd.guest.restricted import names, owners


def check_patterns(built: type) -> None:
    """Refuse a class whose positional patterns read a guarded name of strangers.

    Strangers match where a metaclass says who is an instance: what is registered with an ABC, what has a protocol's members.
    An instance of its own has names that are not the program's, too. The compiler sees `__match_args__` where it is assigned
    at the class's top, not below an `if` or by `:=`.

    Raises:
        TypeError: it is such a class, or derives from one with such fields.
    """
    abstract = type(built) is not type
    for base in owners.bases_of(built):
        fields = owners.names_of(base).get("__match_args__")
        for field in fields if type(fields) is tuple else ():
            kind = names.kind_of(field) if type(field) is str else names.REFUSED
            if kind != names.PLAIN and (abstract or _leads_out(built, field, kind)):
                what = "an abstract class" if abstract else "a class"
                raise TypeError(f"{what} with a field {field!r} is not available in restricted code")


def _leads_out(built: type, field: str, kind: str) -> bool:
    """Tell a field that a program could not read of its own instance either."""
    if kind == names.PRIVATE:
        return not owners.opens_private(built, field)
    return kind not in (names.FORMAT, names.OBJECT, names.LABEL)
