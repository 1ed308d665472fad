"""How far a pipeline is, shown to a person. `atomr_agents.ingest` uses it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

WIDTH = 24
FIRST_LINE = 100


class ProgressBar:
    """Draws a line anew on a terminal. Elsewhere it writes lines: after 100 documents, 200, 400, …, and at the end.

    How many documents there will be is known only at the end: the bar says how many of those loaded are done. What
    cannot be written any more, such as a pipe that nobody reads, ends the drawing and not the run.
    """

    __slots__ = ("last", "next", "out", "shown", "terminal")

    def __init__(self, out: TextIO | None) -> None:
        self.out = out
        self.terminal = out is not None and not out.closed and out.isatty()
        self.last = ""
        self.next = FIRST_LINE
        self.shown = False

    def tell(self, now: dict[str, int]) -> None:
        """Shows how far it is."""
        loaded = now["loaded"]
        done = min(loaded, now["written"] + now["unchanged"] + now["failed"])
        filled = WIDTH * done // loaded if loaded else 0
        bar = "#" * filled + "." * (WIDTH - filled)
        counts = ", ".join(f"{now[name]} {name}" for name in ("written", "unchanged", "failed", "removed") if now[name])
        self.last = f"[{bar}] {done}/{loaded} documents, {now['pieces']} pieces" + (f" ({counts})" if counts else "")
        self.shown = False
        if self.terminal:
            self._write(f"\r{self.last}\x1b[K")
        elif loaded >= self.next:
            while loaded >= self.next:
                self.next *= 2
            self._write(f"{self.last}\n")
            self.shown = True

    def close(self) -> None:
        """Ends the line that was drawn last. Nothing is drawn afterwards."""
        if self.last and not self.shown:
            self._write("\n" if self.terminal else f"{self.last}\n")
        self.out = None

    def _write(self, text: str) -> None:
        if self.out is None:
            return
        try:
            self.out.write(text)
            self.out.flush()
        except (OSError, ValueError):
            self.out = None
