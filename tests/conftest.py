"""A real model, for the tests of whatever takes an embedder."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def models() -> ModuleType:
    """`minilm_onnx.py`, which makes models."""
    path = Path(__file__).parent / "embed" / "minilm_onnx.py"
    spec = importlib.util.spec_from_file_location("minilm_onnx", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["minilm_onnx"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def minilm(models: ModuleType) -> Path:
    """The folder of all-MiniLM-L6-v2. It is made in .cache when it is first needed."""
    return models.minilm()
