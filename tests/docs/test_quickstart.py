"""The program of `make run`: without a key, in a pipe and on a terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
QUICKSTART = ROOT / "examples" / "quickstart.py"
NEITHER = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "NO_COLOR", "TERM", "COLUMNS", "LINES")


def environment(**more: str) -> dict[str, str]:
    return {**{name: value for name, value in os.environ.items() if name not in NEITHER}, **more}


def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(QUICKSTART), *arguments],
        capture_output=True,
        text=True,
        timeout=50,
        env=environment(PYTHONIOENCODING="utf-8", **more),
        check=False,
    )


def test_in_a_pipe_it_is_plain_and_complete() -> None:
    done = run("--delay", "0")
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    assert "\x1b" not in done.stdout
    assert "No key was given" in done.stdout
    for line in (
        '  … add  {"a": 2, "b": 3}',
        '  … weather  {"location":"Florence, Italy"}',
        r"  ✓ add  5  \(.*ms\)",
        r"  ✗ multiply  RuntimeError: the multiplier is out of order.*  \(.*ms\)",
        r"  ✓ weather  40 °C  \(3\d\d ms\)",
        "  The current temperature in Florence, Italy is 40°C.",
        "tokens +253 in, 79 out",
        r"cost +\$0.00\d+",
        "model calls +3",
        r"events +[1-9]\d+",
        "run +[0-9a-f-]{36}",
    ):
        pattern = line if "\\" in line or " +" in line or "[" in line else re.escape(line)
        assert re.search(f"^{pattern}$", done.stdout, re.M), f"{line!r} is missing in\n{done.stdout}"


def test_a_key_or_an_address_means_a_provider(provider: str) -> None:
    done = run("What is 2 + 3?", "--base-url", provider, OPENAI_API_KEY="sk-not-to-be-shown")
    assert done.returncode == 0, done.stderr
    assert f"Asking {provider}." in done.stdout
    assert "no price for this model" not in done.stdout
    assert "sk-not-to-be-shown" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        (["--model", "openai:gpt-4o-mini"], "config", "OPENAI_API_KEY"),
        (["--model", "gpt-4o-mini"], "config", "openai:gpt-4o-mini"),
        (["--base-url", "http://127.0.0.1:9/v1", "--api-key", "x"], "connect", "127.0.0.1:9"),
    ],
)
def test_what_goes_wrong_is_one_line(arguments: list[str], kind: str, said: str) -> None:
    done = run(*arguments)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    last = done.stdout.strip().splitlines()[-1]
    assert last.startswith(f"✗ {kind}: "), done.stdout
    assert said in last


class Screen:
    """A terminal, as far as the view uses it."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.lines = [""]
        self.row = 0
        self.ups = 0

    def write(self, text: str) -> None:
        for found in re.finditer(r"\x1b\[(\d*)([AJm])|(\r?\n)|([^\x1b\r\n]+)|(.)", text, re.S):
            count, code, newline, plain, other = found.groups()
            assert other is None, f"{other!r} reached the terminal"
            if plain:
                self.lines[self.row] += plain
                assert len(self.lines[self.row]) <= self.columns, f"{self.lines[self.row]!r} wraps"
            elif newline:
                self.row += 1
                if self.row == len(self.lines):
                    self.lines.append("")
            elif code == "A":
                self.row -= int(count)
                self.ups += 1
                assert self.row >= 0
            elif code == "J":
                del self.lines[self.row :]
                self.lines.append("")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no pseudo-terminal")
@pytest.mark.parametrize("colour", [True, False])
def test_on_a_terminal_calls_grow_in_place(colour: bool) -> None:
    import fcntl
    import pty
    import struct
    import termios

    columns = 72
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    more = {"TERM": "xterm"} if colour else {"TERM": "xterm", "NO_COLOR": "1"}
    process = subprocess.Popen(
        [sys.executable, str(QUICKSTART), "--delay", "5", "Short?"], stdout=follower, env=environment(**more)
    )
    os.close(follower)
    raw = b""
    while True:
        try:
            read = os.read(leader, 65536)
        except OSError:  # the other end is closed
            break
        if not read:
            break
        raw += read
    os.close(leader)
    assert process.wait(20) == 0
    text = raw.decode()
    assert ("\x1b[1m" in text) == colour
    screen = Screen(columns + 40)  # the note of the header may wrap; the calls are looked at below
    screen.write(text)
    assert screen.ups > 10
    calls = [line for line in screen.lines if line.startswith(("  ✓", "  ✗"))]
    assert [line.split()[1] for line in calls] == ["add", "multiply", "weather"], "\n".join(screen.lines)
    assert all(len(line) < columns for line in calls)
    assert re.search(r'✓ add +\{"a": 2, "b": 3\}  →  5  ', calls[0])
    assert "  The current temperature in Florence, Italy is 40°C." in screen.lines


def test_nothing_that_steers_a_terminal_gets_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(QUICKSTART.parent))
    from _view import cut, visible, width_of

    assert visible("\x1b[2J\r\x07\x9b1m\u202e\u2028") == r"\x1b[2J\r\x07\x9b1m\u202e\u2028"
    assert visible("a\nb", keep="\n") == "a\nb"
    assert visible("Größe 40\u00a0°C 日本 👩\u200d🚀") == "Größe 40 °C 日本 👩\u200d🚀"
    assert width_of("日本") == 4
    assert cut("日本語", 5) == "日本…"
    assert cut("abc", 3) == "abc"
