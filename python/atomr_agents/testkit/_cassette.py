"""Runs that are recorded, and played again without a network."""

from __future__ import annotations

from .. import _checks as checks
from ..errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike
    from typing import Any

    from .._native.agent import InferenceClient


class Recording:
    """A model whose requests and answers are recorded; `record` makes it."""

    __slots__ = ("_client", "model_name")

    def __init__(self, client: InferenceClient, model_name: str) -> None:
        self._client = client
        self.model_name = model_name
        """The model that is asked."""

    def client(self) -> InferenceClient:
        """The client that an agent calls."""
        return self._client

    def __repr__(self) -> str:
        return f"<Recording of {self.model_name}>"


class Replay:
    """A model that answers from a recording; `replay` makes it."""

    __slots__ = ("_native",)

    def __init__(self, path: str, paced: bool) -> None:
        from .._native.testkit import NativeReplay

        self._native = NativeReplay(path, paced)

    @property
    def model_name(self) -> str | None:
        """The model that was asked."""
        return self._native.model

    @property
    def remaining(self) -> int:
        """How many recorded calls were not made yet."""
        return self._native.remaining()

    def client(self) -> InferenceClient:
        """The client that an agent calls."""
        return self._native.client()

    def __repr__(self) -> str:
        return f"<Replay of {self.model_name}, {self.remaining} calls left>"


def record(path: str | PathLike[str], model: Any, *, hide: Sequence[str] = (), **options: Any) -> Recording:
    """A model that does what `model` does and writes every request and everything answered, errors included, into a
    file of JSON lines, from which `replay` answers later.

    Keys are never part of a request, so none is in the file; fields with a telling name, such as `password`, words that
    look like keys, and the texts in `hide` are written as `[hidden]`. Everything else that was said is in the file.

    Args:
        path: The file; one that is there is replaced.
        model: What `Agent` takes as its model.
        hide: Texts that are written nowhere.
        **options: Those of the client, such as `base_url` and `api_key`.

    Example:
        >>> import os, tempfile
        >>> from atomr_agents import Agent
        >>> from atomr_agents.testkit import ScriptedModel, record, replay
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "run.jsonl")
        ...     _ = Agent(record(path, ScriptedModel().text("Rain."))).run_sync("Oslo?")
        ...     Agent(replay(path)).run_sync("Oslo?").output
        'Rain.'
    """
    from .._model import resolve
    from .._native import testkit

    for secret in (hidden := checks.items("hide", "a list of texts", hide)):
        checks.filled("each text in hide", secret)
    client, name = resolve(model, None, options)
    return Recording(testkit.record(client, _path(path), list(hidden)), name)


def replay(path: str | PathLike[str], *, paced: bool = False) -> Replay:
    """A model that answers from a file that `record` wrote, without a network.

    A request is answered by the first recorded call that asked the same and was not made yet. Any other request is
    refused with a `ConfigError` that names the first difference.

    Args:
        path: The file.
        paced: Whether to wait between the pieces as long as was waited then.
    """
    checks.flag("paced", paced)
    return Replay(_path(path), paced)


def _path(path: Any) -> str:
    import os

    if not isinstance(path, (str, os.PathLike)):
        checks.fail("path", "a path", path)
    name = str(os.fspath(path))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if not name:
        raise ConfigError("path is empty; it must be the name of a file")
    return name
