"""The example of a run that outlives its processes."""

import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "killed_and_resumed.py"


def test_it_says_what_happened() -> None:
    done = subprocess.run([sys.executable, str(EXAMPLE)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("killed in") == 2
    assert "another process has ended it: Your lamp is on its way. Receipt 4711." in done.stdout
    assert done.stdout.splitlines()[-3:] == ["  paid 20 USD", "  reserved lamp", "  shipped lamp"]
