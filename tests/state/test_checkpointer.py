"""Checkpointers, as users of a graph without an engine have them."""

import asyncio
from pathlib import Path

import pytest

from atomr_agents.errors import ConflictError, ContractError, RuntimeUnavailableError
from atomr_agents.state import (
    Checkpointer,
    CheckpointKey,
    InMemoryCheckpointer,
    Snapshot,
    in_memory_checkpointer,
    sqlite_checkpointer,
)


def key(step: int, run: str = "r") -> CheckpointKey:
    return CheckpointKey("w", run, step)


@pytest.fixture(params=["memory", "sqlite"])
def checkpointer(request: pytest.FixtureRequest, tmp_path: Path) -> Checkpointer:
    return in_memory_checkpointer() if request.param == "memory" else sqlite_checkpointer(tmp_path / "runs.db")


async def test_what_was_saved_is_loaded_listed_forked_and_pruned(checkpointer: Checkpointer):
    for step in range(4):
        await checkpointer.save(key(step), {"n": step, "log": ["x" * 1_000] * step})
    found = await checkpointer.load(key(2))
    assert isinstance(found, Snapshot)
    assert found.values() == {"n": 2, "log": ["x" * 1_000] * 2}
    assert (found.key, found.label) == (key(2), "step") and found.timestamp_ms > 1_700_000_000_000
    assert await checkpointer.load(key(9)) is None
    assert await checkpointer.latest("w", "none") is None
    latest = await checkpointer.latest("w", "r")
    assert latest is not None and latest.key.super_step == 3
    assert [meta.super_step for meta in await checkpointer.list("w", "r")] == [0, 1, 2, 3]
    assert [each.values()["n"] for each in await checkpointer.history("w", "r", 2)] == [3, 2]
    fork = await checkpointer.fork(key(1), "other", {"n": 100})
    assert fork == CheckpointKey("w", "other", fork.super_step)
    forked = await checkpointer.latest("w", "other")
    assert forked is not None and forked.values() == {"n": 100, "log": ["x" * 1_000]}
    report = await checkpointer.prune("w", "r", 1)
    assert "other" in report.kept_for
    for run, before in (("r", latest), ("other", forked)):
        after = await checkpointer.latest("w", run)
        assert after is not None and (after.key, after.values()) == (before.key, before.values())


async def test_wrong_use_is_refused_in_words(checkpointer: Checkpointer):
    await checkpointer.save(key(3), {"n": 1})
    with pytest.raises(ConflictError, match="steps only grow"):
        await checkpointer.save(key(3), {"n": 2})
    with pytest.raises(ConflictError, match="no run named"):
        await checkpointer.list("w", "none")
    with pytest.raises(ConflictError, match="no step 7"):
        await checkpointer.fork(key(7))
    with pytest.raises(ConflictError, match="exists"):
        await checkpointer.fork(key(3), "r")
    with pytest.raises(ContractError, match="/n"):
        await checkpointer.save(key(4), {"n": {1, 2}})
    with pytest.raises(RuntimeError, match="event loop"):
        checkpointer.save_sync(key(4), {"n": 1})
    assert not isinstance(RuntimeUnavailableError(), ConflictError)
    with pytest.raises(OverflowError):
        CheckpointKey("w", "r", -1)


def test_the_twins_wait_and_survive_the_process(tmp_path: Path):
    first = sqlite_checkpointer(str(tmp_path / "runs.db"))
    first.save_sync(key(0), {"n": 1})
    again = Checkpointer(tmp_path / "runs.db")
    assert again.load_sync(key(0)).values() == {"n": 1}
    assert [meta.key for meta in again.list_sync("w", "r")] == [key(0)]
    assert again.history_sync("w", "r")[0].key == key(0)
    assert again.fork_sync(key(0), "f").run_id == "f"
    assert again.prune_sync("w", "f").kept_for == []


def test_keys_are_values():
    assert key(1) == key(1) != key(2)
    assert len({key(1), key(1), key(2)}) == 2
    assert repr(key(1)) == 'CheckpointKey(workflow_id="w", run_id="r", super_step=1)'


def test_one_in_memory_counts_what_it_has():
    checkpointer = InMemoryCheckpointer()
    assert checkpointer.is_empty() and len(checkpointer) == 0 and checkpointer
    for run in ("a", "b"):
        for step in range(3):
            checkpointer.save_sync(key(step, run), {"n": step})
    assert len(checkpointer) == checkpointer.len() == 6

    async def inside() -> int:
        return len(checkpointer)

    assert asyncio.run(inside()) == 6


def test_what_is_kept_does_not_grow_for_ever():
    checkpointer = InMemoryCheckpointer()
    for step in range(300):
        checkpointer.save_sync(key(step), {"n": step, "text": str(step) * 500})
        if step % 100 == 99:
            checkpointer.prune_sync("w", "r", 2)
            checkpointer.store.sweep_sync(0)
    assert len(checkpointer) <= 4
    assert checkpointer.store.sweep_sync(0) == (0, 0)
    assert checkpointer.latest_sync("w", "r").values()["n"] == 299
