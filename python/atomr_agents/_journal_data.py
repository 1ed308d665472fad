"""What crosses between the core and a store that is written in Python. Only type checkers load this."""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict

Key: TypeAlias = tuple[str, str]
"""A space, such as `run`, and a name in it. Records, logs and leases do not share names."""


class Record(TypedDict):
    """A small value that is replaced as a whole."""

    version: int
    """How often it was written, from 1."""
    value: bytes
    refs: list[str]
    """The ids of the blobs that it needs."""
    due_ms: int | None
    """From when on `claim` finds it, in milliseconds since the Unix epoch."""


class NewEntry(TypedDict):
    """An entry that is added to a log."""

    body: bytes
    refs: list[str]


class Entry(NewEntry):
    """An entry of a log."""

    at: int
    """Its position, from 0."""


class Lease(TypedDict):
    """Who may write."""

    key: Key
    owner: str
    token: int
    """Higher than every earlier one of this key."""
    until_ms: int


class Fence(TypedDict):
    """Lets a batch through only while `token` is the newest one of the lease `key`."""

    key: Key
    token: int


class Put(TypedDict):
    """Writes a record. `expect` is the version that must be there, 0 for none, None for any."""

    op: Literal["put"]
    key: Key
    value: bytes
    refs: list[str]
    due_ms: int | None
    expect: int | None


class Delete(TypedDict):
    """Removes a record."""

    op: Literal["delete"]
    key: Key
    expect: int | None


class Append(TypedDict):
    """Adds entries at the end of a log; `at` is the position that the first of them must get, None for any."""

    op: Literal["append"]
    key: Key
    at: int | None
    entries: list[NewEntry]


class Cut(TypedDict):
    """Removes the entries of a log before a position; the positions of the others stay what they are."""

    op: Literal["cut"]
    key: Key
    before: int


class Drop(TypedDict):
    """Removes a log; its next entry is at 0 again."""

    op: Literal["drop"]
    key: Key


class Blob(TypedDict):
    """Stores bytes under their id; storing them again counts as a use of them."""

    op: Literal["blob"]
    id: str
    bytes: bytes


Change: TypeAlias = Put | Delete | Append | Cut | Drop | Blob
"""One change of a batch; each sees those before it."""


class Batch(TypedDict):
    """Changes that happen whole or not at all."""

    fence: Fence | None
    durability: Literal["full", "relaxed"]
    """What it survives: the machine losing its power, or the process being killed."""
    changes: list[Change]
