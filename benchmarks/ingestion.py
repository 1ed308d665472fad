"""From files to an index: loading, cutting, embedding, words and vectors, with SQLite to know what is in it.

`python ingestion.py` makes a folder of texts, about 100,000 pieces of 400 characters, and runs the pipeline over it
once from nothing, and again when nothing has changed. Then it asks 500 questions of the index.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

from common import child, failures, save, table, target

FILES = 1_000
PIECES = 100_000
SIZE = 400
DIM = 384
QUERIES = 500


def words(seed: int) -> list[str]:
    source = random.Random(seed)
    return ["".join(source.choices("etaoinshrdlucmfw", k=source.randint(2, 9))) for _ in range(20_000)]


def texts(folder: Path) -> None:
    """Files of sentences, whose words come as often as they do in texts: the n-th with 1/n."""
    known, source = words(3), random.Random(4)
    weights = [1 / (at + 1) for at in range(len(known))]
    length = PIECES * SIZE // FILES
    for number in range(FILES):
        parts: list[str] = []
        size = 0
        while size < length:
            sentence = " ".join(source.choices(known, weights, k=12)) + ".\n"
            parts.append(sentence)
            size += len(sentence)
        (folder / f"{number:04}.txt").write_text("".join(parts))


def measured() -> dict[str, float]:
    from atomr_agents.embed import MockEmbedder
    from atomr_agents.ingest import DirectoryLoader, IngestPipeline, RecursiveSplitter
    from atomr_agents.retriever import HybridIndex

    embedder = MockEmbedder(DIM)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "texts").mkdir()
        texts(folder / "texts")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        index = HybridIndex(embedder)
        pipeline = IngestPipeline(
            DirectoryLoader(folder / "texts", include=["*.txt"]),
            index,
            splitter=RecursiveSplitter(SIZE, 0),
            embedder=embedder,
            store=f"sqlite:{folder}/ingest.db",
        )
        begun = time.perf_counter()
        first = pipeline.run_sync()
        whole = time.perf_counter() - begun
        begun = time.perf_counter()
        pipeline.run_sync()
        again = time.perf_counter() - begun
        known, source = words(3), random.Random(5)
        times = []
        for _ in range(QUERIES):
            question = " ".join(source.choices(known[:5_000], k=4))
            begun = time.perf_counter()
            assert index.retrieve_sync(question)
            times.append((time.perf_counter() - begun) * 1e3)
    times.sort()
    print(first, file=sys.stderr)
    return {
        "pieces": first.pieces,
        "seconds": whole,
        "again_s": again,
        "p50_ms": times[QUERIES // 2],
        "p95_ms": times[QUERIES * 95 // 100],
        "memory_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024,
    }


def ingestion() -> dict[str, dict]:
    """100,000 pieces from files to an index of words and vectors."""
    rows = {"ours": child("ingestion.py", "measure")}
    row = rows["ours"]
    if "failed" not in row:
        lines = [
            [
                f"{row['pieces']:,.0f}",
                f"{row['seconds']:.1f}",
                f"{row['again_s']:.2f}",
                f"{row['memory_mb']:.0f}",
                f"{row['p50_ms']:.2f}",
                f"{row['p95_ms']:.2f}",
            ]
        ]
        table("From files to an index", ["pieces", "s", "again s", "MB", "query p50 ms", "p95 ms"], lines)
        target("100,000 pieces within 60 s", met=row["seconds"] * PIECES / row["pieces"] <= 60)
        target("in at most 500 MB", met=row["memory_mb"] <= 500)
        target("hybrid search, p95: within 10 ms", met=row["p95_ms"] <= 10)
    failures(rows)
    save("ingestion", rows)
    return rows


if __name__ == "__main__":
    print(json.dumps(measured()))
