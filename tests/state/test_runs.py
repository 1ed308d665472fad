"""The runs of a store."""

import pytest

from atomr_agents.errors import ConfigError, ConflictError
from atomr_agents.state import Checkpointer, CheckpointKey, Journal, in_memory_store, runs


@pytest.fixture
async def kept():
    store = in_memory_store()
    for at in range(5):
        async with Journal.open(
            store, f"r{at}", kind="script", target="odd" if at % 2 else "even", labels={"at": str(at)}
        ):
            pass
    await Checkpointer(store).save(CheckpointKey("w", "graph", 0), {"n": 1})
    await Checkpointer(store).save(CheckpointKey("w", "graph", 1), {"n": 2})
    return runs(store)


async def test_runs_are_listed_filtered_and_paged(kept):
    everything = await kept.list()
    assert len(everything) == 6 and everything.next is None and everything.unreadable == {}
    assert {run.name for run in await kept.list(target="odd")} == {"r1", "r3"}
    assert [run.name for run in await kept.list(status="paused")] == ["graph"]
    assert [run.name for run in await kept.list(status=["finished"], labels={"at": "4"})] == ["r4"]
    names, after = [], None
    while True:
        page = await kept.list(limit=4, after=after)
        names += [run.name for run in page]
        after = page.next
        if after is None:
            break
    assert sorted(names) == ["graph", "r0", "r1", "r2", "r3", "r4"]
    begun = [run.begun_ms for run in everything]
    assert begun == sorted(begun, reverse=True)
    with pytest.raises(ConfigError, match="outcome_unknown"):
        await kept.list(status="done")


async def test_a_run_is_shown_forked_pruned_verified_and_removed(kept):
    run = await kept.show("graph")
    assert (run.kind, run.target, run.status, run.parent) == ("workflow", "w", "paused", None)
    assert await kept.fork("graph", at_step=0, name="f", edits={"n": 9}, labels={"why": "test"}) == "f"
    forked = await kept.show("f")
    assert forked.parent is not None and forked.parent[0] == "graph" and forked.labels == {"why": "test"}
    with pytest.raises(ConflictError, match="f was forked"):
        await kept.remove("graph")
    check = await kept.verify("f")
    assert check.whole and check.checkpoints == 2 and check.damage == []
    await kept.remove("f")
    assert (await kept.prune("graph")).kept_for == []
    await kept.remove("graph")
    with pytest.raises(ConflictError, match="no run named"):
        await kept.show("graph")
    with pytest.raises(ConfigError, match="not at both"):
        await kept.fork("r0", at_step=1, at_seq=1)


def test_the_twins_wait():
    store = in_memory_store()
    Checkpointer(store).save_sync(CheckpointKey("w", "r", 0), {"n": 1})
    kept = runs(store)
    assert [run.name for run in kept.list_sync()] == ["r"] and kept.show_sync("r").turns == 1
    assert kept.fork_sync("r", name="f") == "f" and kept.verify_sync("f").whole
    assert list(kept.events_sync("r")) == []
    kept.remove_sync("f")
    assert kept.prune_sync("r").kept_for == []


async def test_events_are_read_from_a_number_on(kept):
    assert [event async for event in kept.events("r0")] == []
    with pytest.raises(ConflictError):
        [event async for event in kept.events("none")]
