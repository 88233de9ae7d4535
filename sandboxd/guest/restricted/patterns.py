"""What a class pattern reads by position: the attributes that the class's `__match_args__` names, where no guard stands."""

from __future__ import annotations

from sandboxd.guest.restricted import names, owners


def check_patterns(built: type) -> None:
    """Refuse a class whose positional patterns read a guarded name of strangers.

    Strangers match where a metaclass says who is an instance: what is registered with an ABC, what has a protocol's members.

    Raises:
        TypeError: it is such a class, or derives from one with such fields.
    """
    if type(built) is type:
        return
    for base in owners.bases_of(built):
        fields = owners.names_of(base).get("__match_args__")
        for field in fields if type(fields) is tuple else ():
            if type(field) is not str or names.kind_of(field) != names.PLAIN:
                raise TypeError(
                    f"an abstract class with a field {field!r} is not available in restricted code"
                )
