"""What the stream of a graph's run tells, as the parts that its reader gets."""

from __future__ import annotations

from ._graph_types import Interrupt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ._native.core import Event


def told(kind: str, where: Any, what: Any, wanted: list[str]) -> Iterator[tuple[str, tuple[str, ...], Any]]:
    """The parts that something in the stream becomes: the mode, the path of the graph, and the part."""
    if kind == "updates":
        *outer, node = str(where).split("/")
        node = node.split(".", 1)[-1] if outer else node
        yield "updates", tuple(outer), {node.split("[", 1)[0]: what}
    elif kind == "interrupts":
        waiting = tuple(asked(one) for one in what if one[2] == "asked")
        for mode in ("values", "updates"):
            if mode in wanted:
                yield mode, (), {"__interrupt__": waiting}
    elif kind == "events":
        for event in what:
            if "events" in wanted:
                yield "events", (), event
            if "messages" in wanted and event.kind == "text_delta":
                yield "messages", (), _piece(event)
    elif kind in wanted:
        yield kind, (), what


def _piece(event: Event) -> tuple[dict[str, str], dict[str, Any]]:
    """A piece of what a model writes, and where: pieces of one message have one `seq`, and are counted by `index`."""
    node = event.path.split("/", 1)[0].split("[", 1)[0]
    about = {"node": node, "path": event.path, "run_id": event.run_id, "seq": event.seq, "index": event.index}
    return {"role": "assistant", "content": event.text or ""}, about


def asked(one: tuple[str, str, str, Any]) -> Interrupt:
    """What a step asks."""
    id, path, kind, value = one
    return Interrupt(value, id, path, kind)
