"""What the benchmarks share: the provider's process, one child process per peer, the table, the results."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "results"


@contextlib.contextmanager
def provider() -> Iterator[str]:
    """Runs the provider; answers its base URL."""
    process = subprocess.Popen(
        [sys.executable, str(HERE / "provider.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
    finally:
        process.stdin.close()
        process.wait(timeout=10)


def child(script: str, *arguments: str, timeout: float = 600) -> dict:
    """Runs a process for one peer; what it prints last is its result. A peer that fails is a row too."""
    environment = {**os.environ, "PYTHONHASHSEED": "0", "OPENAI_API_KEY": "x", "LANGSMITH_TRACING": "false"}
    try:
        done = subprocess.run(
            [sys.executable, str(HERE / script), *arguments],
            capture_output=True,
            text=True,
            timeout=timeout,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"no result after {timeout:.0f} s"}
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        return {"failed": lines[-1][:200]}
    result: dict = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    widths = [max(len(row[at]) for row in [columns, *rows]) for at in range(len(columns))]
    print(f"\n{title}\n")
    for row in [columns, ["-" * width for width in widths], *rows]:
        cells = [cell.ljust(widths[0]) if at == 0 else cell.rjust(widths[at]) for at, cell in enumerate(row)]
        print("  ".join(cells).rstrip())


def save(name: str, rows: dict[str, dict]) -> None:
    RESULTS.mkdir(exist_ok=True)
    facts = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "rows": rows,
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(facts, indent=2) + "\n")


def target(text: str, *, met: bool) -> None:
    """One line that says whether what the project promises held in this run."""
    print(f"  {'met   ' if met else 'MISSED'}  {text}")


def failures(rows: dict[str, dict]) -> None:
    for label, row in rows.items():
        if trouble := row.get("failed") or row.get("first_error"):
            print(f"  {label}: {trouble}")
