"""Sessions: interpreters that outlive the streams of their clients, each answering to one user id."""

from sandboxd.sessions.answers import Answer, Checkpointed, Forked, Renewed, RolledBack
from sandboxd.sessions.facts import ExecuteWish, Facts, State
from sandboxd.sessions.feed import Feed, Item
from sandboxd.sessions.one_shot import OneShot, route
from sandboxd.sessions.registry import Sessions
from sandboxd.sessions.ring import Entry, EventRing, Refusal, RingEvent
from sandboxd.sessions.session import Session
from sandboxd.sessions.wishes import OpenWish, Terms

__all__ = (
    "Answer",
    "Checkpointed",
    "Entry",
    "EventRing",
    "ExecuteWish",
    "Facts",
    "Feed",
    "Forked",
    "Item",
    "OneShot",
    "OpenWish",
    "Refusal",
    "Renewed",
    "RingEvent",
    "RolledBack",
    "Session",
    "Sessions",
    "State",
    "Terms",
    "route",
)
