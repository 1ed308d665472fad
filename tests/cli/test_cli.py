"""The command of the package."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from atomr_agents.cli import main
from atomr_agents.state import Checkpointer, CheckpointKey

STATE = Path(__file__).parents[1] / "state" / "test_journal.py"


def killed(store: str) -> None:
    spec = importlib.util.spec_from_file_location("of_the_journal", STATE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.killed(store)


def say(*words: str, code: int = 0, **environment: str) -> str:
    command = Path(sys.executable).parent / "atomr-agents"
    done = subprocess.run(
        [command, *words], capture_output=True, text=True, timeout=50, env={**os.environ, **environment}, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def store(tmp_path: Path) -> str:
    path = str(tmp_path / "runs.db")
    checkpointer = Checkpointer(path)
    for step in range(3):
        checkpointer.save_sync(CheckpointKey("w", "graph", step), {"n": step, "note": "remember this"})
    return path


def test_the_command_lists_shows_forks_and_verifies(store: str):
    assert "graph  workflow  w       paused" in say("runs", "list", "--store", store)
    lines = say("runs", "list", "--json", ATOMR_AGENTS_STORE=f"sqlite:{store}").splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["graph"]
    assert say("runs", "fork", "graph", "--at-step", "1", "--name", "f", "--store", store) == "f\n"
    assert "channel  n: 1" in say("runs", "show", "f", "--values", "--store", store)
    assert "2 runs whole, 0 damaged" in say("runs", "verify", "--store", store)
    assert "agrees with itself" in say("runs", "replay", "graph", "--store", store)


def test_a_store_that_a_killed_process_left_is_read(tmp_path: Path):
    store = str(tmp_path / "runs.db")
    killed(store)
    assert "order  script  shop    running" in say("runs", "list", "--store", store)
    assert "0:charge#0 (charge) was begun and has no outcome" in say("runs", "show", "order", "--store", store)
    assert "1 run whole, 0 damaged" in say("runs", "verify", "--store", store)


def test_damage_is_told_by_the_exit_code(store: str):
    path = Path(store)
    for file in (path, path.with_name(path.name + "-wal")):
        if file.exists():
            file.write_bytes(file.read_bytes().replace(b"remember this", b"remember that"))
    assert "damaged" in say("runs", "verify", "--store", store, code=3).lower()


def test_wrong_use_and_what_is_not_there(store: str):
    assert "Usage" in say("runs", "list", "--what", code=2)
    say("runs", "list", code=2, ATOMR_AGENTS_STORE="")
    assert "no store at" in say("runs", "list", "--store", store + ".other", code=1)
    assert "no run named" in say("runs", "show", "none", "--store", store, code=1)
    assert main(["--version"]) == 0
