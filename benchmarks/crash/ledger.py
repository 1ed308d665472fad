"""Effects, each on the disk before the call returns: what was done is known whatever happens to the process."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path


class Ledger:
    """The writing side."""

    def __init__(self, path: Path) -> None:
        self.file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, key: str) -> None:
        os.write(self.file, f"{key}\n".encode())
        os.fsync(self.file)


def attempts(path: Path) -> Counter[str]:
    """How often each effect was made. A line that was cut by the kill was not made."""
    if not path.exists():
        return Counter()
    lines = path.read_text().split("\n")
    return Counter(lines[:-1])
