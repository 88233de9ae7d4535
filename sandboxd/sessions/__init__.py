"""Sessions: interpreters that outlive the streams of their clients, each answering to one user id."""

from sandboxd.sessions.feed import Feed, Item
from sandboxd.sessions.one_shot import OneShot, route
from sandboxd.sessions.registry import OpenWish, Sessions, Terms
from sandboxd.sessions.ring import Entry, EventRing, Refusal, RingEvent
from sandboxd.sessions.session import ExecuteWish, Facts, Session, State

__all__ = (
    "Entry",
    "EventRing",
    "ExecuteWish",
    "Facts",
    "Feed",
    "Item",
    "OneShot",
    "OpenWish",
    "Refusal",
    "RingEvent",
    "Session",
    "Sessions",
    "State",
    "Terms",
    "route",
)
