"""What goes wrong with an answer of a `ReplayServer`."""

from __future__ import annotations

from .. import _checks as checks
from ..errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FLAWS = (
    "duplicate_index",
    "huge_index",
    "no_index",
    "giant_arguments",
    "cut_arguments",
    "broken_arguments",
    "orphan_arguments",
    "no_call_ids",
    "same_call_ids",
    "no_call_names",
    "no_end",
    "no_finish",
    "no_tail",
    "no_usage",
    "no_events",
    "error_first",
    "error_last",
    "invalid_json",
    "invalid_utf8",
    "unknown_event",
    "text_after_end",
)


class Fault:
    """What goes wrong with one answer of a `ReplayServer`. Positions count bytes of the body.

    Example:
        >>> Fault.reset(at=40)
        Fault.reset(at=40)
        >>> Fault.status(429, retry_after=2)
        Fault.status(status=429, message='', retry_after=2)
    """

    __slots__ = ("_spec",)

    def __init__(self, spec: dict[str, Any]) -> None:
        self._spec = spec

    @property
    def spec(self) -> dict[str, Any]:
        """The fault as a dict."""
        return dict(self._spec)

    @staticmethod
    def reset(*, at: int = 0) -> Fault:
        """The connection is reset after so many bytes."""
        return _at("reset", at)

    @staticmethod
    def close(*, at: int = 0) -> Fault:
        """The connection is closed after so many bytes, though more was promised."""
        return _at("close", at)

    @staticmethod
    def end(*, at: int = 0) -> Fault:
        """The answer ends after so many bytes as if it were complete."""
        return _at("end", at)

    @staticmethod
    def stall(*, at: int = 0) -> Fault:
        """Nothing more comes after so many bytes, and the connection stays open."""
        return _at("stall", at)

    @staticmethod
    def half_event(event: int = 0) -> Fault:
        """The answer ends in the middle of this event, from 0, as if it were complete."""
        checks.whole(0)("event", event)
        return Fault({"fault": "half_event", "event": event})

    @staticmethod
    def no_answer() -> Fault:
        """The request is read and never answered."""
        return Fault({"fault": "no_answer"})

    @staticmethod
    def no_head() -> Fault:
        """The connection is closed in place of an answer."""
        return Fault({"fault": "no_head"})

    @staticmethod
    def redirect(url: str) -> Fault:
        """The answer points elsewhere."""
        checks.filled("url", url)
        return Fault({"fault": "redirect", "url": url})

    @staticmethod
    def insert(data: bytes, *, at: int = 0, times: int = 1) -> Fault:
        """After so many bytes come these, so many times, and then the rest."""
        if not isinstance(data, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
            checks.fail("data", "bytes", data)
        checks.whole(0)("at", at)
        checks.whole(1)("times", times)
        return Fault({"fault": "insert", "at": at, "hex": data.hex(), "times": times})

    @staticmethod
    def garbage(size: int = 1024, *, seed: int = 0) -> Fault:
        """So many random bytes in place of HTTP."""
        checks.whole(1)("size", size)
        checks.whole(0)("seed", seed)
        return Fault({"fault": "garbage", "bytes": size, "seed": seed})

    @staticmethod
    def many_headers(count: int) -> Fault:
        """So many headers more than usual."""
        checks.whole(1)("count", count)
        return Fault({"fault": "many_headers", "count": count})

    @staticmethod
    def huge_header(size: int) -> Fault:
        """A header of so many bytes."""
        checks.whole(1)("size", size)
        return Fault({"fault": "huge_header", "bytes": size})

    @staticmethod
    def gzip(bomb: int = 0) -> Fault:
        """The answer is packed, though nobody asked for it; with `bomb`, it unpacks to so many zeros."""
        checks.whole(0)("bomb", bomb)
        return Fault({"fault": "gzip_bomb", "bytes": bomb} if bomb else {"fault": "gzip"})

    @staticmethod
    def status(status: int, message: str = "", *, retry_after: float | str | None = None) -> Fault:
        """An error in place of the answer, in the provider's words. `retry_after` is the header: seconds or text."""
        checks.whole(400)("status", status)
        if status > 599:
            checks.fail("status", "a number from 400 to 599", status)
        checks.text("message", message)
        if retry_after is not None and not isinstance(retry_after, str):
            checks.number()("retry_after", retry_after)
        return Fault({"fault": "status", "status": status, "message": message, "retry_after": retry_after})

    @staticmethod
    def flaw(name: str, *, size: int = 2 << 20) -> Fault:
        """The answer breaks its own format; only a `ScriptedModel` that is served can. Those about tool calls need an
        answer with two of them. `size` is how many bytes `giant_arguments` have.

        Names: `duplicate_index`, `huge_index`, `no_index`, `giant_arguments`, `cut_arguments`, `broken_arguments`,
        `orphan_arguments`, `no_call_ids`, `same_call_ids`, `no_call_names`, `no_end`, `no_finish`, `no_tail`,
        `no_usage`, `no_events`, `error_first`, `error_last`, `invalid_json`, `invalid_utf8`, `unknown_event`,
        `text_after_end`.
        """
        checks.one_of(*FLAWS)("name", name)
        checks.whole(1)("size", size)
        return Fault({"fault": "flaw", "flaw": {name: size} if name == "giant_arguments" else name})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fault) and self._spec == other._spec

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self._spec.items() if name != "fault")
        return f"Fault.{self._spec['fault']}({fields})"


def _at(fault: str, at: int) -> Fault:
    checks.whole(0)("at", at)
    return Fault({"fault": fault, "at": at})


def specs(faults: Any) -> list[dict[str, Any] | None]:
    """The faults of the answers, in their order; one is that of the first answer."""
    if isinstance(faults, Fault):
        return [faults.spec]
    several = checks.items("faults", "a Fault, or a list of faults and None", faults)
    made: list[dict[str, Any] | None] = []
    for each in several:
        if each is not None and not isinstance(each, Fault):
            raise ConfigError(f"faults must hold faults and None, not {each!r:.80}")
        made.append(None if each is None else each.spec)
    return made
