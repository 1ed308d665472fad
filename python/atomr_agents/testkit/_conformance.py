"""The rules of `@inference_client`, as a check."""

from __future__ import annotations

from .. import _checks as checks
from ..errors import ContractError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any


async def check_inference_client(
    model: Any, question: str = "Say hello.", *, tools: Sequence[dict[str, Any]] = ()
) -> None:
    """Checks that a model client keeps the rules that an agent relies on, by asking it several times.

    Its answer ends with one terminal event and nothing follows; the pieces of a tool call join to the call; a call that
    is cancelled or late says so and ends, and one that nobody listens to any more leaves nothing behind; equal requests
    are written alike. Anything that `Agent` takes as its model can be checked. Call it from an async test.

    Args:
        model: The client: a function or object made with `@inference_client`, or any other model.
        question: What it is asked.
        tools: What it is told of tools: dicts of `name`, `description` and `parameters`.

    Raises:
        ContractError: The first rule that is broken, in words.

    Example:
        >>> import asyncio
        >>> from atomr_agents.guest import inference_client
        >>> @inference_client(name="checked_echo")
        ... async def echo(request):
        ...     yield "hello"
        >>> asyncio.run(check_inference_client(echo))
    """
    from .._model import resolve
    from .._native.testkit import conformance_of

    checks.filled("question", question)
    specs = list(checks.items("tools", "a list of dicts", tools))
    for spec in specs:
        checks.dictionary("each tool", spec)
    client, name = resolve(model, None, {})
    wrong = await conformance_of(client, name, question, specs)
    if wrong is not None:
        raise ContractError(f"the client {client.provider} breaks a rule: {wrong}")


async def check_store(make: Callable[[], object]) -> None:
    """Checks that a store keeps the rules that runs rely on: batches that happen whole or not at all, also when their
    caller goes away; versions, positions, leases and their fences; many writers at once.

    Args:
        make: Gives an empty store each time: an object made with `@journal` or with its methods, a `Store`, a path.
            A plain or async function.

    Raises:
        ContractError: The first rule that is broken, in words.

    Example:
        >>> import asyncio
        >>> from atomr_agents.state import in_memory_store
        >>> asyncio.run(check_store(in_memory_store))
    """
    from .._native.testkit import store_conformance

    async def fresh() -> object:
        made: Any = make()
        return await made if hasattr(made, "__await__") else made

    wrong = await store_conformance(fresh)
    if wrong is not None:
        raise ContractError(f"the store breaks a rule: {wrong}")
