"""A real model, and a real database, for the tests of whatever takes them."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest


def loaded(path: Path) -> ModuleType:
    """A file beside the tests as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def models() -> ModuleType:
    """`minilm_onnx.py`, which makes models."""
    return loaded(Path(__file__).parent / "embed" / "minilm_onnx.py")


@pytest.fixture(scope="session")
def minilm(models: ModuleType) -> Path:
    """The folder of all-MiniLM-L6-v2. It is made in .cache when it is first needed."""
    return models.minilm()


@pytest.fixture(scope="session")
def pgvector() -> Iterator[str]:
    """A PostgreSQL server with pgvector: the one whose address ATOMR_TEST_PGVECTOR has, or one that is started."""
    if there := os.environ.get("ATOMR_TEST_PGVECTOR"):
        yield there
        return
    servers = loaded(Path(__file__).parent / "pgvector_server.py")
    if servers.pgvector() is None:
        pytest.skip("there is no PostgreSQL with pgvector to be unpacked for this machine")
    with servers.running() as dsn:
        yield dsn
