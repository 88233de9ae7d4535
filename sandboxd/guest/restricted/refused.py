"""The error of what is there and not to be had, told apart from the error of what is missing."""

from __future__ import annotations


class RefusedError(AttributeError):
    """An attribute that restricted code may not load. To the program it is an AttributeError like any other.

    `hasattr` and a default of `getattr` answer for missing attributes alone: of one that is there and refused, "no" would
    be a silently different value.
    """


RefusedError.__name__ = RefusedError.__qualname__ = AttributeError.__name__
RefusedError.__module__ = AttributeError.__module__
