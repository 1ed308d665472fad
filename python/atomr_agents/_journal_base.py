"""What a store of one's own needs not say itself."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager

from .errors import ContractError, make

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from contextlib import AbstractContextManager
    from typing import Any

    from ._journal_data import Batch, Change, Entry, Key, Lease, Record

# Names hold no control characters, so these keep the parts of a key apart and sort before every character.
_SEP = "\x01"
_END = "\x02"
# Behind every name that begins alike: names have at most 512 bytes.
_LAST = "\U0010ffff" * 129
_PAGE = 1_000


class JournalBase:
    """A store of runs over an ordered table of bytes: write `select` and `write`, the rest is here.

    ```python
    from atomr_agents.guest import journal
    from atomr_agents.state import Checkpointer, JournalBase


    @journal
    class Kept(JournalBase):
        def __init__(self):
            self.items = {}

        def select(self, first, last, limit, reverse):
            names = sorted((name for name in self.items if first <= name < last), reverse=reverse)
            return [(name, self.items[name]) for name in names[:limit]]

        def write(self, changes, durable):
            self.items.update(changes)
            self.items = {name: value for name, value in self.items.items() if value is not None}


    checkpointer = Checkpointer(Kept)
    ```

    One call at a time reaches `select` and `write`. A store that several processes share has a `transaction` of its
    own, in which nobody else writes.
    """

    def select(self, first: str, last: str, limit: int, reverse: bool) -> list[tuple[str, bytes]]:
        """Up to `limit` items with `first <= key < last`, in the order of their keys (by code points), or backwards."""
        raise _missing(self, "select(first, last, limit, reverse)")

    def write(self, changes: dict[str, bytes | None], durable: bool) -> None:
        """Writes all of these items or none; None removes one. With `durable` they must survive a power failure."""
        raise _missing(self, "write(changes, durable)")

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Around everything that reads and then writes; what was written is undone when an exception leaves it."""
        yield

    def now(self) -> int:
        """Milliseconds since the Unix epoch."""
        return time.time_ns() // 1_000_000

    # --- the methods of a store

    def commit(self, batch: Batch) -> None:
        """Does everything in a batch, or nothing."""
        with self._alone() as view:
            fence = batch["fence"]
            if fence is not None:
                view.check_fence(fence["key"], fence["token"])
            for change in batch["changes"]:
                view.apply(change, self.now())
            if view.changes:
                self.write(view.changes, batch["durability"] == "full")

    def get(self, key: Key) -> Record | None:
        """The record under a key."""
        with self._turn():
            return _View(self).record(key)

    def scan(self, space: str, prefix: str, after: str | None, limit: int, reverse: bool) -> list[tuple[str, Record]]:
        """Records of a space in the order of their names."""
        head = _name("r", (space, ""))
        first, last = head + prefix, head + prefix + _LAST
        if after is not None:
            first, last = (first, min(last, head + after)) if reverse else (max(first, head + after + _SEP), last)
        if first >= last:
            return []
        with self._turn():
            return [(name[len(head) :], _record(value)) for name, value in self.select(first, last, limit, reverse)]

    def read(self, key: Key, start: int, limit: int) -> list[Entry]:
        """Entries of a log from a position on."""
        head = _name("e", key) + _SEP
        with self._turn():
            return [
                _entry(name, value) for name, value in self.select(f"{head}{start:020}", head + _LAST, limit, False)
            ]

    def end(self, key: Key) -> int:
        """The position that the next entry of a log gets."""
        with self._turn():
            return _View(self).bounds(key)[1]

    def blobs(self, ids: list[str]) -> list[bytes | None]:
        """The bytes of blobs, in the same order."""
        with self._turn():
            return [_View(self).blob(each) for each in ids]

    def acquire(self, key: Key, owner: str, ttl_ms: int) -> Lease:
        """Takes a lease."""
        with self._alone() as view:
            now, (holder, token, until) = self.now(), view.lease(key)
            if holder is not None and holder != owner and until > now:
                what = f"{key[0]}/{key[1]} is held by {holder}"
                raise make("locked", what, {"record": key, "owner": holder, "left_ms": until - now})
            lease = view.take(key, owner, token + 1, now + ttl_ms)
            self.write(view.changes, True)
            return lease

    def renew(self, lease: Lease, ttl_ms: int) -> Lease:
        """Holds a lease for longer."""
        with self._alone() as view:
            view.check_fence(lease["key"], lease["token"])
            renewed = view.take(lease["key"], lease["owner"], lease["token"], self.now() + ttl_ms)
            self.write(view.changes, False)
            return renewed

    def release(self, lease: Lease) -> None:
        """Lets a lease go; nothing happens if it was lost."""
        with self._alone() as view:
            holder, token, _ = view.lease(lease["key"])
            if holder is not None and token == lease["token"]:
                view.take(lease["key"], None, token, 0)
                self.write(view.changes, True)

    def claim(self, space: str, owner: str, ttl_ms: int, limit: int) -> list[tuple[str, Record, Lease]]:
        """Takes the leases of records that are due and that nobody holds, the longest due first."""
        with self._alone() as view:
            now = self.now()
            due: list[tuple[int, str, Record]] = []
            head = _name("r", (space, ""))
            for name, value in self._all(head, head + _LAST):
                record = _record(value)
                if record["due_ms"] is not None and record["due_ms"] <= now:
                    due.append((record["due_ms"], name[len(head) :], record))
            claimed: list[tuple[str, Record, Lease]] = []
            for _, name, record in sorted(due, key=lambda each: each[:2]):
                holder, token, until = view.lease((space, name))
                if len(claimed) < limit and (holder is None or until <= now):
                    claimed.append((name, record, view.take((space, name), owner, token + 1, now + ttl_ms)))
            if claimed:
                self.write(view.changes, True)
            return claimed

    def sweep(self, grace_ms: int) -> tuple[int, int]:
        """Removes blobs that nothing names and nobody has written for so long."""
        with self._alone() as view:
            named = set[str]()
            for kind in "re":
                for _, value in self._all(kind + _SEP, kind + _END):
                    named.update(_parts(value)[0][-1])
            head, before, size = "b" + _SEP, self.now() - grace_ms, 0
            for name, value in self._all(head, "b" + _END):
                (written,), data = _parts(value)
                if name[len(head) :] not in named and written <= before:
                    view.changes[name] = None
                    size += len(data)
            if view.changes:
                self.write(view.changes, False)
            return len(view.changes), size

    def _all(self, first: str, last: str) -> Iterator[tuple[str, bytes]]:
        while items := self.select(first, last, _PAGE, False):
            yield from items
            first = items[-1][0] + _SEP

    def _turn(self) -> AbstractContextManager[Any]:
        lock: AbstractContextManager[Any] = self.__dict__.setdefault("_atomr_lock", threading.RLock())
        return lock

    @contextmanager
    def _alone(self) -> Generator[_View]:
        with self._turn(), self.transaction():
            yield _View(self)


class _View:
    """What is stored, as the changes so far would leave it."""

    def __init__(self, store: JournalBase) -> None:
        self.store = store
        self.changes: dict[str, bytes | None] = {}

    def item(self, name: str) -> bytes | None:
        if name in self.changes:
            return self.changes[name]
        found = self.store.select(name, name + _SEP, 1, False)
        return found[0][1] if found else None

    def record(self, key: Key) -> Record | None:
        value = self.item(_name("r", key))
        return None if value is None else _record(value)

    def bounds(self, key: Key) -> tuple[int, int]:
        """The first position of a log that is left, and that of the next entry."""
        value = self.item(_name("l", key))
        if value is None:
            return 0, 0
        first, end = _parts(value)[0]
        return first, end

    def blob(self, name: str) -> bytes | None:
        value = self.item(f"b{_SEP}{name}")
        return None if value is None else _parts(value)[1]

    def lease(self, key: Key) -> tuple[str | None, int, int]:
        """Who holds it, the newest token, and until when."""
        value = self.item(_name("k", key))
        if value is None:
            return None, 0, 0
        owner, token, until = _parts(value)[0]
        return owner, token, until

    def take(self, key: Key, owner: str | None, token: int, until: int) -> Lease:
        self.changes[_name("k", key)] = _value([owner, token, until])
        return {"key": key, "owner": owner or "", "token": token, "until_ms": until}

    def check_fence(self, key: Key, token: int) -> None:
        holder, newest, _ = self.lease(key)
        if holder is None or token != newest:
            what = f"{key[0]}/{key[1]} is written by somebody else: token {token} is not the newest"
            raise make("fenced", what, {"record": key, "newest": newest})

    def apply(self, change: Change, now: int) -> None:
        if change["op"] == "blob":
            self.changes[f"b{_SEP}{change['id']}"] = _value([now], change["bytes"])
        elif change["op"] == "put":
            version = self.expected(change["key"], change["expect"])
            head = [version + 1, change["due_ms"], change["refs"]]
            self.changes[_name("r", change["key"])] = _value(head, change["value"])
        elif change["op"] == "delete":
            self.expected(change["key"], change["expect"])
            self.changes[_name("r", change["key"])] = None
        elif change["op"] == "append":
            self.append(change["key"], change["at"], change["entries"])
        elif change["op"] == "cut":
            self.cut(change["key"], change["before"])
        else:
            self.cut(change["key"], None)

    def expected(self, key: Key, expect: int | None) -> int:
        """The version of a record, which must be the expected one."""
        record = self.record(key)
        version = 0 if record is None else record["version"]
        if expect is not None and expect != version:
            raise _conflict(key, f"version {expect}" if expect else "nothing", f"version {version}")
        return version

    def append(self, key: Key, at: int | None, entries: list[Any]) -> None:
        first, end = self.bounds(key)
        if at is not None and at != end:
            raise _conflict(key, f"an end at {at}", str(end))
        for entry in entries:
            self.changes[f"{_name('e', key)}{_SEP}{end:020}"] = _value([entry["refs"]], entry["body"])
            end += 1
        self.changes[_name("l", key)] = _value([first, end])

    def cut(self, key: Key, before: int | None) -> None:
        """Removes the front of a log, or all of it."""
        first, end = self.bounds(key)
        to = end if before is None else min(before, end)
        for at in range(first, to):
            self.changes[f"{_name('e', key)}{_SEP}{at:020}"] = None
        self.changes[_name("l", key)] = None if before is None else _value([max(first, to), end])


def _conflict(key: Key, expected: str, found: str) -> Exception:
    what = f"{key[0]}/{key[1]}: {expected} was expected, there is {found}"
    return make("conflict", what, {"record": key, "expected": expected, "found": found})


def _name(kind: str, key: Key) -> str:
    return f"{kind}{_SEP}{key[0]}{_SEP}{key[1]}"


def _value(head: list[Any], data: bytes = b"") -> bytes:
    return json.dumps(head).encode() + b"\n" + data


def _parts(value: bytes) -> tuple[list[Any], bytes]:
    head, _, data = value.partition(b"\n")
    return json.loads(head), data


def _record(value: bytes) -> Record:
    (version, due, refs), data = _parts(value)
    return {"version": version, "value": data, "refs": refs, "due_ms": due}


def _entry(name: str, value: bytes) -> Entry:
    (refs,), data = _parts(value)
    return {"at": int(name[-20:]), "body": data, "refs": refs}


def _missing(store: JournalBase, method: str) -> ContractError:
    return ContractError(f"{type(store).__qualname__} has no method {method}: a JournalBase is built on it")
