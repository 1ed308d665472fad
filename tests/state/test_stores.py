"""Stores: ours, and those that users write."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
import warnings
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from atomr_agents import guest, journal
from atomr_agents.errors import (
    AgentError,
    ConfigError,
    ConflictError,
    ContractError,
    LockedError,
    StorageError,
    StorageFullError,
)
from atomr_agents.state import (
    Checkpointer,
    CheckpointKey,
    Journal,
    JournalBase,
    encrypted_store,
    in_memory_checkpointer,
    in_memory_store,
    postgres_store,
    runs,
    sqlite_store,
)
from atomr_agents.testkit import check_store

DSN = os.environ.get("ATOMR_TEST_POSTGRES", "postgres://postgres@127.0.0.1:5432/test")


class Kept(JournalBase):
    """The smallest store there is."""

    def __init__(self) -> None:
        self.items: dict[str, bytes] = {}

    def select(self, first: str, last: str, limit: int, reverse: bool) -> list[tuple[str, bytes]]:
        names = sorted((name for name in self.items if first <= name < last), reverse=reverse)
        return [(name, self.items[name]) for name in names[:limit]]

    def write(self, changes: dict[str, bytes | None], durable: bool) -> None:
        for name, value in changes.items():
            if value is None:
                self.items.pop(name, None)
            else:
                self.items[name] = value


class InSqlite(JournalBase):
    """A store over Python's own sqlite3."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.connection.execute("create table if not exists items (name text primary key, value blob) without rowid")

    @contextmanager
    def transaction(self):
        self.connection.execute("begin immediate")
        try:
            yield
        except BaseException:
            self.connection.execute("rollback")
            raise
        self.connection.execute("commit")

    def select(self, first, last, limit, reverse):
        order = "desc" if reverse else "asc"
        query = f"select name, value from items where name >= ? and name < ? order by name {order} limit ?"
        return self.connection.execute(query, (first, last, limit)).fetchall()

    def write(self, changes, durable):
        for name, value in changes.items():
            if value is None:
                self.connection.execute("delete from items where name = ?", (name,))
            else:
                self.connection.execute("insert or replace into items values (?, ?)", (name, value))


METHODS = ("commit", "get", "scan", "read", "end", "blobs", "acquire", "renew", "release", "claim", "sweep", "now")


def asynchronous(store: JournalBase) -> object:
    """The same store with coroutines for methods."""

    def method(name: str):
        async def call(self, *args):
            self.loops.add(asyncio.get_running_loop())
            await asyncio.sleep(0)
            return getattr(store, name)(*args)

        return call

    return type("Asynchronous", (), {"loops": set(), **{name: method(name) for name in METHODS}})()


@pytest.fixture
def fresh(tmp_path: Path, request: pytest.FixtureRequest):
    """What makes an empty store of each kind."""
    kind = request.param
    if kind == "postgres":
        return fresh_postgres(request)

    def make():
        path = tmp_path / f"{uuid.uuid4()}.db"
        makers = {
            "dict": Kept,
            "sqlite3": lambda: InSqlite(path),
            "async": lambda: asynchronous(Kept()),
            "memory": in_memory_store,
            "encrypted": lambda: encrypted_store(path, bytes(32)),
            "sqlite": lambda: sqlite_store(path),
            "path": lambda: path,
            "text": lambda: f"sqlite:{path}",
        }
        return makers[kind]()

    return make


def psql(statement: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["psql", DSN, "-qc", statement], capture_output=True, text=True, timeout=30, check=False)


def fresh_postgres(request: pytest.FixtureRequest):
    """Schemas of their own, removed afterwards."""
    if shutil.which("psql") is None:
        pytest.skip("there is no psql to remove the schemas with")
    there = psql("select 1")
    if there.returncode != 0:
        pytest.skip(f"no PostgreSQL at {DSN}: {there.stderr}")
    schemas: list[str] = []

    def drop() -> None:
        for schema in schemas:
            psql(f'drop schema if exists "{schema}" cascade')

    request.addfinalizer(drop)

    def make():
        schemas.append(f"t{uuid.uuid4().hex}")
        return postgres_store(DSN, schema=schemas[-1])

    return make


KINDS = ["dict", "sqlite3", "async", "memory", "sqlite", "postgres"]


@pytest.mark.parametrize("fresh", [*KINDS, "encrypted", "path", "text"], indirect=True)
async def test_every_store_keeps_the_rules_of_the_seam(fresh):
    await check_store(fresh)


@pytest.mark.parametrize("fresh", KINDS, indirect=True)
def test_every_store_keeps_checkpoints_and_journals(fresh):
    store = fresh()
    checkpointer = Checkpointer(store)
    key = CheckpointKey("w", "r", 0)
    checkpointer.save_sync(key, {"n": 1, "text": "long " * 500})
    assert checkpointer.latest_sync("w", "r").values() == {"n": 1, "text": "long " * 500}

    async def script():
        async with Journal.open(store, "script") as kept:
            assert await kept.effect("roll", lambda: 6) == 6

    asyncio.run(script())
    assert {run.name: run.status for run in runs(store).list_sync()} == {"r": "paused", "script": "finished"}
    assert runs(store).verify_sync("script").whole


async def test_a_rule_that_is_broken_is_named():
    class Forgetful(Kept):
        def release(self, lease):
            pass

    with pytest.raises(ContractError, match="breaks a rule"):
        await check_store(Forgetful)


@pytest.mark.parametrize(("method", "other"), [("select", "write"), ("write", "select")])
def test_a_base_without_one_of_its_two_methods_says_which(method: str, other: str):
    half = type("Half", (JournalBase,), {other: getattr(Kept, other), "items": {}})
    with pytest.raises(ContractError, match=rf"Half has no method {method}\("):
        Checkpointer(half()).save_sync(CheckpointKey("w", "r", 0), {"n": 1})


async def test_what_makes_the_stores_may_fail():
    def make():
        raise OSError("no disk")

    with pytest.raises(OSError, match="no disk"):
        await check_store(make)


def test_what_is_encrypted_cannot_be_read_in_the_file_nor_with_another_key(tmp_path: Path):
    path, key = tmp_path / "runs.db", "0f" * 32
    checkpointer = Checkpointer(encrypted_store(path, key))
    checkpointer.save_sync(CheckpointKey("w", "r", 0), {"name": "Ada Lovelace"})
    assert checkpointer.latest_sync("w", "r").values() == {"name": "Ada Lovelace"}
    assert not any(b"Lovelace" in file.read_bytes() for file in tmp_path.iterdir())

    again = Checkpointer(encrypted_store(f"sqlite:{path}", bytes.fromhex(key)))
    assert again.latest_sync("w", "r").values() == {"name": "Ada Lovelace"}
    with pytest.raises(ConfigError, match="written with another key"):
        encrypted_store(path, bytes(32))


@pytest.mark.parametrize("key", [b"short", "0f", "secret" * 20, 7, None, bytearray(32)])
def test_a_key_of_another_form_is_refused_and_not_repeated(key: object):
    with pytest.raises(ConfigError, match="64 hexadecimal digits") as caught:
        encrypted_store(in_memory_store(), key)  # type: ignore[arg-type]
    assert "secret" not in str(caught.value)


async def test_a_store_of_ones_own_is_encrypted_before_its_loop_runs():
    with pytest.raises(RuntimeError, match="event loop"):
        encrypted_store(Kept(), bytes(32))
    store = await asyncio.to_thread(encrypted_store, Kept(), bytes(32))
    await Checkpointer(store).save(CheckpointKey("w", "r", 0), {"n": 1})
    assert (await Checkpointer(store).latest("w", "r")).values() == {"n": 1}


# --- stores that users write


@pytest.fixture
def registry():
    yield
    guest.clear_factories()


def test_a_class_and_an_instance_can_be_registered_and_given_wherever_a_store_is_taken(registry):
    assert journal(Kept) is Kept
    one = Kept()
    assert journal(name="one")(one) is one
    Checkpointer(one).save_sync(CheckpointKey("w", "r", 0), {"n": 1})
    assert guest.journal_from_factory("one").kind == "guest"
    assert [run.name for run in runs(guest.journal_from_factory("one")).list_sync()] == ["r"]
    # Of a class: its one instance.
    Checkpointer(Kept).save_sync(CheckpointKey("w", "r", 0), {"n": 2})
    assert Checkpointer(guest.journal_from_factory("Kept")).latest_sync("w", "r").values() == {"n": 2}
    with pytest.raises(KeyError, match="Kept, one"):
        guest.journal_from_factory("other")


def test_coroutines_run_on_the_loop_of_whoever_made_the_store_or_on_one_that_stays():
    store = asynchronous(Kept())
    checkpointer = Checkpointer(store)
    checkpointer.save_sync(CheckpointKey("w", "r", 0), {"n": 1})
    assert asyncio.run(checkpointer.latest("w", "r")).values() == {"n": 1}
    assert len(store.loops) == 1, "connections that are bound to their loop go on"

    async def main():
        other = asynchronous(Kept())
        await Checkpointer(other).save(CheckpointKey("w", "r", 0), {"n": 1})
        assert other.loops == {asyncio.get_running_loop()}

    asyncio.run(main())


def test_a_wrong_shape_names_the_method():
    class Wrong(Kept):
        def get(self, key):
            return {"version": "one", "value": "text", "refs": []}

    with pytest.raises(ContractError, match="version") as caught:
        Checkpointer(Wrong()).latest_sync("w", "r")
    assert (caught.value.guest, caught.value.method) == ("journal", "get")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"version": 1, "value": "text", "refs": [], "due_ms": None}, "expected bytes"),
        ({"version": 1, "value": b""}, "refs"),
        ({"version": 1, "value": b"", "refs": ["zz"], "due_ms": None}, "64 hexadecimal"),
        (7, "a record is a dict"),
    ],
)
def test_each_part_of_a_shape_is_looked_at(answer, told):
    class Wrong(Kept):
        def get(self, key):
            return answer

    with pytest.raises(ContractError, match=told):
        Checkpointer(Wrong()).latest_sync("w", "r")


def test_what_a_guest_raises_comes_back_as_itself():
    error = LookupError("the table is gone")

    class Broken(Kept):
        def commit(self, batch):
            raise error

    with pytest.raises(LookupError) as caught:
        Checkpointer(Broken()).save_sync(CheckpointKey("w", "r", 0), {"n": 1})
    assert caught.value is error


@pytest.mark.parametrize("kind", [StorageFullError, StorageError, LockedError, ConflictError])
def test_the_errors_of_stores_keep_their_kind(kind: type[AgentError]):
    class Full(Kept):
        def acquire(self, key, owner, ttl_ms):
            raise kind("because")

    with pytest.raises(AgentError) as caught:
        Checkpointer(Full()).save_sync(CheckpointKey("w", "r", 0), {"n": 1})
    if kind is LockedError:
        assert caught.value.kind == "conflict", "somebody begins the run"
    else:
        assert caught.value.kind == kind.kind and "because" in str(caught.value)


def test_what_is_no_store_is_refused():
    for wrong in (7, None, object(), Kept):
        with pytest.raises(ConfigError, match="a store is"):
            Checkpointer(wrong)
    for text in ("", "redis://user:hunter2@host"):
        with pytest.raises(ConfigError) as caught:
            Checkpointer(text)
        assert "hunter2" not in str(caught.value)
    with pytest.raises(ContractError, match="no method"):

        @journal
        class Half:
            def commit(self, batch):
                pass


def test_two_threads_share_a_store_of_ones_own():
    store = Kept()
    checkpointers = [Checkpointer(store) for _ in range(4)]

    def work(at: int) -> None:
        for step in range(10):
            checkpointers[at].save_sync(CheckpointKey("w", f"r{at}", step), {"n": step})

    threads = [threading.Thread(target=work, args=(at,)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(checkpointers[0].list_sync("w", f"r{at}")) for at in range(4)] == [10] * 4


def test_sweeping_frees_what_nothing_names():
    checkpointer = in_memory_checkpointer()
    for step in range(3):
        checkpointer.save_sync(CheckpointKey("w", "r", step), {"text": f"{step}" * 2_000})
    assert checkpointer.store.sweep_sync(0) == (0, 0)
    assert checkpointer.prune_sync("w", "r").commits > 0
    blobs, size = checkpointer.store.sweep_sync(0)
    assert blobs == 2 and size == 2 * 2_002
    with pytest.raises(ConfigError, match="grace"):
        checkpointer.store.sweep_sync(-1)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists the descriptors of a process")
def test_a_sqlite_file_that_is_open_elsewhere_in_the_process_is_warned_of_once(tmp_path: Path) -> None:
    from typing import TypedDict

    from atomr_agents.workflow import END, START, StateGraph

    class Count(TypedDict):
        count: int

    path = tmp_path / "runs.db"
    graph = StateGraph(Count)
    graph.add_node("step", lambda held: {"count": held["count"] + 1})
    graph.add_edge(START, "step")
    graph.add_edge("step", END)
    compiled = graph.compile(Checkpointer(sqlite_store(path)))

    def write(first: int) -> None:
        for number in range(first, first + 40):
            compiled.invoke({"count": number}, {"configurable": {"thread_id": str(number)}})

    def told() -> list[str]:
        return [str(each.message) for each in caught if issubclass(each.category, RuntimeWarning)]

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        write(0)
        sqlite_store(path)
        assert told() == []
        with closing(sqlite3.connect(path)) as other:
            assert other.execute("SELECT count(*) FROM logs").fetchone() == (40,)
            write(40)
            write(80)
            # A thread of its own tells it.
            until = time.monotonic() + 20
            while not told() and time.monotonic() < until:
                time.sleep(0.01)
            assert len(told()) == 1
            assert "runs.db is also open in this process outside of its store" in told()[0]
            assert "Leave it open until the store is closed" in told()[0]
