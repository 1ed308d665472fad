"""Where the benchmarks of durable runs keep what they store: a file that is removed, a database that is dropped.

The PostgreSQL server is the one that ATOMR_AGENTS_POSTGRES names, or one on loopback that trusts `postgres`. The
pragmas are set alike for everybody whose own settings they do not contradict.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

SERVER = os.environ.get("ATOMR_AGENTS_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")


@contextlib.contextmanager
def sqlite_path() -> Iterator[Path]:
    """A path in a folder of its own, on the disk that the temporary folder is on."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        yield Path(folder) / "store.db"


def connect(path: Path, synchronous: str) -> sqlite3.Connection:
    """A connection for somebody else's saver, with the pragmas that the comparison is about."""
    connection = sqlite3.connect(path, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    return connection


def sqlite_bytes(path: Path) -> int:
    """What the database takes on the disk after a checkpoint: file and write-ahead log.

    In a process of its own: closing a file lets go of the locks that another SQLite library of its process has on it.
    """
    checkpoint = (
        "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('PRAGMA wal_checkpoint(TRUNCATE)').fetchall()"
    )
    subprocess.run([sys.executable, "-c", checkpoint, str(path)], check=True)
    return sum(each.stat().st_size for each in path.parent.iterdir() if each.name.startswith(path.name))


@contextlib.contextmanager
def postgres_dsn() -> Iterator[str]:
    """A database of its own on the server."""
    import psycopg

    name = f"bench_{uuid.uuid4().hex}"
    with psycopg.connect(SERVER, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        try:
            yield urlunsplit(urlsplit(SERVER)._replace(path=f"/{name}"))
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def postgres_bytes(dsn: str) -> int:
    """What the database's own tables and indexes take, after a vacuum."""
    import psycopg

    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("VACUUM")
        connection.execute("CHECKPOINT")
        row = connection.execute(
            "SELECT sum(pg_total_relation_size(oid)) FROM pg_class "
            "WHERE relkind = 'r' AND relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema')"
        ).fetchone()
    assert row is not None
    return int(row[0])
