"""Fixtures for the tests of agents. They are there as soon as the package is installed.

```python
async def test_weather(scripted_model):
    scripted_model.text("Rain.")
    assert (await Agent(scripted_model).run("Oslo?")).output == "Rain."


async def test_wire(replay_server):
    server = replay_server("recordings/text-stream")
    agent = Agent("openai:gpt-4o-mini", base_url=server.base_url, api_key="any")
```
"""

from __future__ import annotations

import typing

import pytest

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from . import ReplayServer, ScriptedModel


@pytest.fixture
def scripted_model() -> ScriptedModel:
    """A model with nothing to say yet; see `atomr_agents.testkit.ScriptedModel`."""
    from . import ScriptedModel

    return ScriptedModel()


@pytest.fixture
def replay_server() -> Iterator[Callable[..., ReplayServer]]:
    """Starts replay servers, with the arguments of `atomr_agents.testkit.ReplayServer`; closes them afterwards."""
    from . import ReplayServer

    servers: list[ReplayServer] = []

    def start(*args: typing.Any, **options: typing.Any) -> ReplayServer:
        servers.append(ReplayServer(*args, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
