"""Harnesses, with strategies of every form."""

import pytest

from atomr_agents import clear_factories


@pytest.fixture(autouse=True)
def _fresh_registry():
    yield
    clear_factories()
