"""Shows a run in a terminal while it goes on.

On a terminal the calls of a turn are lines that grow in place; anywhere else (a pipe, a file, `TERM=dumb`) the same
things are written one after the other, without moving the cursor. `NO_COLOR` and the terminal's width are honoured.
What a model or a tool says is never sent to the terminal as it is: control characters are made visible first.
"""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from dataclasses import dataclass
from typing import TextIO

STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
MARKS = {"streaming": "…", "running": "▸", "ok": "✓", "failed": "✗"}
COLOURS = {"streaming": "dim", "running": "yellow", "ok": "green", "failed": "red"}


def visible(text: str, keep: str = "") -> str:
    """The text with every character that could steer a terminal written as an escape."""
    return "".join(char if char.isprintable() or char in keep else _named(char) for char in text)


def _named(char: str) -> str:
    if unicodedata.category(char) == "Zs":
        return " "
    # The joiner inside emoji is harmless; direction marks and everything else that does not show are not.
    return char if char == "\u200d" else char.encode("unicode_escape").decode("ascii")


def width_of(text: str) -> int:
    """How many columns the text takes."""
    return sum(_columns(char) for char in text)


def _columns(char: str) -> int:
    if unicodedata.combining(char) or char in "\u200d\ufe0f":
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def cut(text: str, width: int) -> str:
    """The beginning of the text, as much as fits."""
    if width_of(text) <= width:
        return text
    kept, used = [], 1
    for char in text:
        used += _columns(char)
        if used > width:
            break
        kept.append(char)
    return "".join(kept) + "…"


def duration(milliseconds: int | None) -> str:
    if milliseconds is None:
        return ""
    if milliseconds < 1:
        return "<1 ms"
    return f"{milliseconds} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


@dataclass
class Call:
    """One tool call: first it is written, then it runs, then it has a result."""

    name: str
    arguments: str = ""
    state: str = "streaming"
    result: str = ""
    elapsed: str = ""


class View:
    """Shows one run. Feed it the run's events, then the result."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self.out = out
        self.live = out.isatty() and os.environ.get("TERM") != "dumb"
        self.colours = self.live and not os.environ.get("NO_COLOR")
        self.turn = 0
        self.events = 0
        self.figures = ""  # of the model's last answer, to be written under its block
        self.calls: dict[str, Call] = {}
        self.drawn = 0  # lines of the calls that stand above the cursor
        self.open = ""  # what the unfinished line at the cursor is: "", "text", "thinking", or a call's id

    # --- the frame

    def header(self, title: str, note: str, prompt: str) -> None:
        self.line(self.style("bold", title))
        self.line(self.style("dim", note))
        self.line()
        self.line(self.style("cyan", "you  ") + visible(prompt, keep="\n"))

    def footer(self, rows: list[tuple[str, str]]) -> None:
        self.rule("result")
        label = max(len(name) for name, _ in rows) + 2
        for name, text in rows:
            lines = visible(text, keep="\n").splitlines() or [""]
            for at, line in enumerate(lines):
                self.line(self.style("dim", (name if at == 0 else "").ljust(label)) + line)

    def failure(self, what: str, message: str) -> None:
        self.settle()
        self.line(self.style("red", f"{MARKS['failed']} {what}: ") + visible(message, keep="\n"))

    # --- the run

    def show(self, event) -> None:
        """Shows one event of the run. Kinds that have nothing to show are counted only."""
        self.events += 1
        handler = getattr(self, f"on_{event.kind}", None)
        if handler is not None:
            handler(event)
            self.out.flush()

    def on_model_requested(self, event) -> None:
        self.settle()
        self.turn += 1
        self.calls = {}
        self.rule(f"turn {self.turn}", visible(event.model or ""))

    def on_thinking_delta(self, event) -> None:
        self.stream_text("thinking", event.text)

    def on_text_delta(self, event) -> None:
        self.stream_text("text", event.text)

    def on_refusal_delta(self, event) -> None:
        self.stream_text("text", event.text)

    def on_tool_call_streamed(self, event) -> None:
        """A piece of a call; the first piece of a call has a name and no arguments."""
        call = self.call(event)
        call.arguments += event.arguments
        if self.live:
            self.redraw()
            return
        if self.open != event.call_id:
            self.end_line()
            self.out.write(f"  {MARKS['streaming']} {visible(call.name)}  {visible(call.arguments)}")
        else:
            self.out.write(visible(event.arguments))
        self.open = event.call_id

    def on_model_finished(self, event) -> None:
        usage = event.usage
        self.figures = f"{usage.input_tokens} tokens in, {usage.output_tokens} out, {duration(event.elapsed_ms)}"

    def on_model_retried(self, event) -> None:
        self.settle()
        self.calls = {}
        self.line(self.style("yellow", f"  attempt {event.attempt}: {visible(event.message or '')}"))

    def on_tool_started(self, event) -> None:
        call = self.call(event)
        call.state, call.arguments = "running", event.arguments
        if self.live:
            self.redraw()

    def on_tool_invoked(self, event) -> None:
        call = self.call(event)
        call.state = "ok" if event.ok else "failed"
        call.result, call.elapsed = event.result or "", duration(event.elapsed_ms)
        if self.live:
            self.redraw()
        else:
            self.end_line()
            self.line(f"  {MARKS[call.state]} {visible(call.name)}  {visible(call.result)}  ({call.elapsed})")

    def on_lagged(self, event) -> None:
        self.settle()
        self.line(self.style("yellow", f"  {event.missed} events were dropped: this view was too slow"))

    def on_run_finished(self, event) -> None:
        self.settle()

    def on_run_failed(self, event) -> None:
        self.settle()

    # --- lines

    def call(self, event) -> Call:
        key = event.call_id or event.name  # some servers give no ids
        return self.calls.setdefault(key, Call(visible(event.name)))

    def redraw(self) -> None:
        """Writes the calls of this turn over their former selves."""
        self.end_line()
        columns, rows = shutil.get_terminal_size()
        # The cursor cannot go back further than the screen is high.
        shown = list(self.calls.values())[-max(rows // 2 - 1, 1) :]
        name_width = min(max(width_of(call.name) for call in shown), 24)
        lines = [line for call in shown for line in self.call_lines(call, name_width, columns - 1)]
        if self.drawn:
            self.out.write(f"\x1b[{self.drawn}A\x1b[J")
        for line in lines:
            self.line(line)
        self.drawn = len(lines)

    def call_lines(self, call: Call, name_width: int, columns: int) -> list[str]:
        """`✓ add       {"a": 2, "b": 3}  →  5  <1 ms`; a long result has a line of its own. Nothing wraps."""
        name = cut(call.name, name_width)
        name += " " * (name_width - width_of(name))
        start = f"  {self.style(COLOURS[call.state], MARKS[call.state])} {self.style('bold', name)}  "
        room = columns - name_width - 6
        arguments = visible(call.arguments[:columns])  # what is longer is not shown, so it is not looked at
        if call.state in ("streaming", "running"):
            return [start + cut(arguments, room)]
        result, elapsed = visible(call.result[:columns]), f"  {call.elapsed}"
        shown = cut(result, room - len(elapsed) - 3)
        outcome = f"→  {self.style(COLOURS[call.state], shown)}{self.style('dim', elapsed)}"
        if width_of(arguments) + width_of(result) + len(elapsed) + 5 <= room:
            return [f"{start}{arguments}  {outcome}"]
        return [start + cut(arguments, room), " " * (name_width + 6) + outcome]

    def stream_text(self, kind: str, text: str | None) -> None:
        """Text that goes on where the last piece of its kind ended."""
        if self.open != kind:
            self.end_line()
            self.drawn = 0  # what stands above is finished and stays
            self.out.write("  ")
        self.open = kind
        text = visible(text or "", keep="\n\t").replace("\n", "\n  ")
        self.out.write(self.style("dim", text) if kind == "thinking" else text)

    def settle(self) -> None:
        """Ends the turn's block: what is on the screen stays, and its figures are written under it."""
        self.end_line()
        self.drawn = 0
        if self.figures:
            self.line(self.style("dim", f"  {self.figures}"))
            self.figures = ""

    def end_line(self) -> None:
        if self.open:
            self.out.write("\n")
            self.open = ""

    def rule(self, title: str, note: str = "") -> None:
        columns = min(shutil.get_terminal_size().columns, 100) - 1
        note = f" {note} ──" if note else ""
        rest = "─" * max(columns - 4 - width_of(title) - width_of(note), 2)
        self.line()
        self.line(self.style("dim", "── ") + self.style("bold", title) + self.style("dim", f" {rest}{note}"))

    def line(self, text: str = "") -> None:
        self.out.write(f"{text}\n")

    def style(self, name: str, text: str) -> str:
        return f"\x1b[{STYLES[name]}m{text}\x1b[0m" if self.colours and text else text
