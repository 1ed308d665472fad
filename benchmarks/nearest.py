"""The nearest of 100,000 vectors beside faiss, hnswlib and usearch: at equal recall, in one run, on one machine.

`python nearest.py` makes the vectors once, and runs each peer in a process of its own on one core and on two. A peer
builds its index, then looks for the ten nearest of 500 queries at several widths; what counts is the quickest width
that finds at least 95 % of the nearest, and 99 %. Times are of single queries, from Python.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from common import child, failures, save, table, target

COUNT, DIM, K, QUERIES = 100_000, 384, 10, 500
WIDTHS = (10, 12, 14, 17, 20, 24, 28, 34, 40, 48, 64, 80, 110, 160, 240, 360)
RECALLS = (0.95, 0.99)
# A search may cost at most this part of what the quickest peer's costs.
AIM = 0.6
KINDS = ("clustered", "uniform")

Search = Callable[[Any], Any]
Widen = Callable[[int], None] | None


def data(kind: str, folder: Path) -> None:
    """Unit vectors around 1,000 middles as embeddings of texts lie, or in no order; queries that are like them."""
    chance = np.random.default_rng(7)
    middles = chance.standard_normal((1000, DIM), dtype=np.float32)
    spread = 0.6 if kind == "clustered" else 1.0

    def some(count: int) -> Any:
        vectors = spread * chance.standard_normal((count, DIM), dtype=np.float32)
        if kind == "clustered":
            vectors += middles[chance.integers(0, len(middles), count)]
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    vectors, queries = some(COUNT), some(QUERIES)
    nearest = np.concatenate(
        [np.argsort(-(part @ vectors.T), axis=1)[:, :K] for part in np.array_split(queries, QUERIES // 50)]
    )
    for name, values in {"vectors": vectors, "queries": queries, "nearest": nearest}.items():
        np.save(folder / f"{kind}-{name}.npy", values)


# --- the peers: each gives the build, the search of one query, and what widens the search ---


def ours(vectors: Any, threads: int) -> tuple[Search, Widen]:
    from atomr_agents import InMemoryAnnIndex

    index = InMemoryAnnIndex(DIM)
    index.upsert(np.arange(len(vectors)), vectors)

    def widen(width: int) -> None:
        index.ef = width

    return lambda query: [id for id, _ in index.search(query, K)], widen if index.ef else None


def faiss_hnsw(vectors: Any, threads: int) -> tuple[Search, Widen]:
    import faiss

    faiss.omp_set_num_threads(threads)
    kind = faiss.ScalarQuantizer.QT_8bit
    index = faiss.IndexHNSWSQ(DIM, kind, 16, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = 100
    index.train(vectors)
    index.add(vectors)

    def widen(width: int) -> None:
        index.hnsw.efSearch = width

    return lambda query: index.search(query[None], K)[1][0], widen


def faiss_flat(vectors: Any, threads: int) -> tuple[Search, Widen]:
    import faiss

    faiss.omp_set_num_threads(threads)
    index = faiss.IndexFlatIP(DIM)
    index.add(vectors)
    return lambda query: index.search(query[None], K)[1][0], None


def hnswlib(vectors: Any, threads: int) -> tuple[Search, Widen]:
    import hnswlib

    index = hnswlib.Index("ip", DIM)
    index.init_index(len(vectors), ef_construction=100, M=16)
    index.set_num_threads(threads)
    index.add_items(vectors)
    return lambda query: index.knn_query(query[None], K)[0][0], index.set_ef


def usearch(vectors: Any, threads: int) -> tuple[Search, Widen]:
    from usearch.index import Index

    index = Index(ndim=DIM, metric="ip", dtype="i8", connectivity=16, expansion_add=100)
    index.add(np.arange(len(vectors)), vectors, threads=threads)

    def widen(width: int) -> None:
        index.expansion_search = width

    return lambda query: index.search(query, K).keys, widen


PEERS = {"ours": ours, "faiss HNSW-SQ8": faiss_hnsw, "hnswlib": hnswlib, "usearch i8": usearch}
MAKERS = {"clustered": PEERS, "uniform": {"ours": ours, "faiss flat": faiss_flat}}


def measure(kind: str, peer: str, threads: int, folder: str) -> dict:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    vectors, queries, nearest = (np.load(f"{folder}/{kind}-{name}.npy") for name in ("vectors", "queries", "nearest"))
    started = time.perf_counter()
    search, widen = MAKERS[kind][peer](vectors, threads)
    build = time.perf_counter() - started
    points = []
    for width in WIDTHS if widen else (0,):
        if widen:
            widen(width)
        for query in queries[:20]:
            search(query)
        times, hits = [], 0
        for query, wanted in zip(queries, nearest, strict=True):
            started = time.perf_counter()
            found = search(query)
            times.append(time.perf_counter() - started)
            hits += len({int(id) for id in found} & set(wanted.tolist()))
        points.append((hits / (K * len(queries)), np.median(times) * 1e6, np.percentile(times, 95) * 1e6, width))
        if points[-1][0] >= max(RECALLS):
            break
    row: dict[str, Any] = {
        "build_s": build,
        "graph": widen is not None,
        "best_recall": max(point[0] for point in points),
    }
    for recall in RECALLS:
        enough = [point for point in points if point[0] >= recall]
        if enough:
            _, p50, p95, width = min(enough, key=lambda point: point[1])
            row |= {f"p50_us_{recall}": p50, f"p95_us_{recall}": p95, f"width_{recall}": width}
    return row


def main(kinds: list[str] | None = None) -> dict[str, dict]:
    rows: dict[str, dict] = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in kinds or list(KINDS):
            data(kind, Path(folder))
            for threads in (1, 2):
                here = {
                    peer: child("nearest.py", "--measure", kind, peer, str(threads), folder) for peer in MAKERS[kind]
                }
                show(kind, threads, here)
                rows |= {f"{kind}, {threads}: {peer}": row for peer, row in here.items()}
    save("nearest", rows)
    return rows


def show(kind: str, threads: int, here: dict[str, dict]) -> None:
    lines = []
    for peer, row in here.items():
        if "failed" in row:
            lines.append([peer, *["failed"] * 6])
            continue
        cells = [f"{row['build_s']:.1f}", f"{row['best_recall']:.4f}"]
        for recall in RECALLS:
            cells += [f"{row[f'{p}_us_{recall}']:.0f}" if f"{p}_us_{recall}" in row else "—" for p in ("p50", "p95")]
        lines.append([peer, *cells])
    columns = [
        f"{kind}, {threads} cores",
        "build s",
        "best recall",
        *[f"{p} us at {r}" for r in RECALLS for p in ("p50", "p95")],
    ]
    table(f"The ten nearest of {COUNT:,} vectors of {DIM}", columns, lines)
    failures(here)
    mine, others = here.get("ours", {}), [row for peer, row in here.items() if peer != "ours"]
    best = min((row["build_s"] for row in others if "build_s" in row), default=None)
    if kind == "clustered" and best and "build_s" in mine:
        target(f"built no slower than the quickest: {mine['build_s']:.1f} s, {best:.1f} s", met=mine["build_s"] <= best)
    for recall in RECALLS:
        key = f"p50_us_{recall}"
        quickest = min((row[key] for row in others if key in row), default=None)
        if key in mine and quickest:
            ratio = mine[key] / quickest
            most = AIM if kind == "clustered" else 1.0
            target(f"recall {recall}: within {most} x of the quickest: {ratio:.2f} x", met=ratio <= most)
        elif key in mine:
            target(f"recall {recall}: no peer reaches it; ours in {mine[key]:.0f} us", met=True)
        else:
            target(f"recall {recall} is reached", met=False)
    if kind == "uniform":
        target("without clusters there is no graph", met=not mine.get("graph", True))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5])))
    else:
        main(sys.argv[1:] or None)
