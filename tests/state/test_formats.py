"""Files that earlier versions wrote are read, checked and gone on with."""

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from atomr_agents import Command
from atomr_agents.state import Checkpointer, runs

FORMATS = Path(__file__).parents[1] / "data" / "formats"
FILES = sorted(FORMATS.glob("*.db"))


@pytest.fixture(params=FILES, ids=[file.name for file in FILES])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy, as reading may bring it to the newest format."""
    copy = tmp_path / "kept.db"
    shutil.copy(request.param, copy)
    return copy


@pytest.fixture
def programs() -> ModuleType:
    """What wrote them."""
    spec = importlib.util.spec_from_file_location("formats_make", FORMATS / "make.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_is_a_file_of_each_format():
    assert [file.name for file in FILES] == ["sqlite-1-frames-2.db", "sqlite-1.db"]


def test_every_run_is_listed_and_whole(kept: Path):
    found = runs(kept)
    status = {run.name: (run.kind, run.status) for run in found.list_sync()}
    assert status == {
        "looked": ("agent", "finished"),
        "waits": ("agent", "suspended"),
        "asked": ("workflow", "suspended"),
        "script": ("script", "finished"),
        "saved": ("workflow", "paused"),
        "forked": ("workflow", "paused"),
    }
    for name in status:
        assert found.verify_sync(name).whole, name
    kinds = [event.kind for event in found.events_sync("looked")]
    assert kinds[0] == "run_started" and kinds.count("tool_invoked") == 2 and kinds[-1] == "run_finished"


def test_checkpoints_and_forks_are_loaded(kept: Path):
    checkpointer = Checkpointer(kept)
    text = "long " * 1_000
    assert checkpointer.latest_sync("w", "saved").values() == {"n": 2, "text": text}
    assert checkpointer.latest_sync("w", "forked").values() == {"n": 100, "text": text}


async def test_what_was_suspended_goes_on(kept: Path, programs: ModuleType):
    looking, paying = programs.agents(kept)
    replayed = await looking.replay("looked")
    assert (replayed.status, replayed.divergence) == ("finished", None)
    waiting = await paying.resume("waits")
    done = await paying.resume("waits", [call.approve() for call in waiting.pending.calls])
    assert done.output == "It is paid."
    app = programs.graph().compile(kept)
    thread = {"configurable": {"thread_id": "asked"}}
    assert (await app.aget_state(thread)).values == {"lines": ["in", "a"], "count": 7}
    assert (await app.ainvoke(Command(resume="yes"), thread))["lines"] == ["in", "a", "b yes"]
