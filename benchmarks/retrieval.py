"""BM25 beside its peers, and hybrid search: 100,000 documents of Zipf-distributed words, ten found for each query.

`python retrieval.py` runs each peer in a process of its own, one after the other, over the same documents and queries.
What is built is timed as CPU time of the whole process, a query as the time until its ten results are in Python.
"""

from __future__ import annotations

import itertools
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import child, failures, save, table, target

DOCUMENTS = 100_000
WORDS = 50_000
QUERIES = 1_000
# A query of a peer that reads all documents takes a third of a second.
SLOW_QUERIES = 30
TOP = 10
DIM = 384

PEERS = {
    "ours": "atomr-agents",
    "hybrid": "atomr-agents, words + vectors",
    "tantivy": "tantivy",
    "bm25s": "bm25s (numba)",
    "rank-bm25": "rank-bm25",
}

Search = Callable[[str], list[tuple[int, float]]]


def corpus(count: int = DOCUMENTS) -> tuple[list[str], list[str]]:
    """Documents of 40 to 160 words and queries of 2 to 5, the same in each run."""
    chance = random.Random(1)
    names = [f"w{word}" for word in range(WORDS)]
    sums = list(itertools.accumulate(1 / (rank + 1) for rank in range(WORDS)))

    def text(low: int, high: int) -> str:
        return " ".join(chance.choices(names, cum_weights=sums, k=chance.randint(low, high)))

    return [text(40, 160) for _ in range(count)], [text(2, 5) for _ in range(QUERIES)]


# --- what is measured ---


def ours(texts: list[str]) -> Search:
    from atomr_agents import Bm25Retriever, Document

    index = Bm25Retriever((Document(str(at), text) for at, text in enumerate(texts)), top_k=TOP)
    return lambda query: [(int(found.id), found.score or 0.0) for found in index.retrieve_sync(query)]


def hybrid(texts: list[str]) -> Search:
    import asyncio

    from atomr_agents import Document, HybridIndex

    index = HybridIndex(f"mock:{DIM}", top_k=TOP)
    loop = asyncio.new_event_loop()
    for start in range(0, len(texts), 5_000):
        part = [Document(str(at), texts[at]) for at in range(start, min(start + 5_000, len(texts)))]
        loop.run_until_complete(index.add(part))
    return lambda query: [
        (int(found.id), found.score or 0.0) for found in loop.run_until_complete(index.retrieve(query))
    ]


def tantivy(texts: list[str]) -> Search:
    import tantivy

    builder = tantivy.SchemaBuilder()
    builder.add_text_field("body", stored=False)
    builder.add_unsigned_field("id", stored=True)
    index = tantivy.Index(builder.build())
    writer = index.writer(512_000_000, 1)
    for at, text in enumerate(texts):
        writer.add_document(tantivy.Document(body=text, id=at))
    writer.commit()
    writer.wait_merging_threads()
    index.reload()
    searcher = index.searcher()

    def search(query: str) -> list[tuple[int, float]]:
        found = searcher.search(index.parse_query(query, ["body"]), TOP).hits
        return [(searcher.doc(address)["id"][0], score) for score, address in found]

    return search


def bm25s(texts: list[str]) -> Search:
    import bm25s

    index = bm25s.BM25(method="lucene", k1=1.5, b=0.75, backend="numba")
    index.index(bm25s.tokenize(texts, stopwords=None, show_progress=False), show_progress=False)
    index.activate_numba_scorer()

    def search(query: str) -> list[tuple[int, float]]:
        words = bm25s.tokenize([query], stopwords=None, show_progress=False, return_ids=False)
        ids, scores = index.retrieve(words, k=TOP, show_progress=False, n_threads=1)
        found = zip(ids[0].tolist(), scores[0].tolist(), strict=True)
        return [(id, score) for id, score in found if score > 0]

    return search


def rank_bm25(texts: list[str]) -> Search:
    import numpy
    from rank_bm25 import BM25Okapi

    index = BM25Okapi([text.split() for text in texts])

    def search(query: str) -> list[tuple[int, float]]:
        scores = index.get_scores(query.split())
        return [(int(at), float(scores[at])) for at in numpy.argsort(scores)[::-1][:TOP]]

    return search


MAKERS: dict[str, Callable[[list[str]], Search]] = {
    "ours": ours,
    "hybrid": hybrid,
    "tantivy": tantivy,
    "bm25s": bm25s,
    "rank-bm25": rank_bm25,
}


def measured(peer: str, path: str) -> dict[str, Any]:
    texts, queries = json.loads(Path(path).read_text())
    wall, cpu = time.perf_counter(), time.process_time()
    search = MAKERS[peer](texts)
    built = {"build_s": time.perf_counter() - wall, "build_cpu_s": time.process_time() - cpu}
    if peer == "rank-bm25":
        queries = queries[:SLOW_QUERIES]
    for query in queries[:20]:
        search(query)
    times, best = [], []
    for query in queries:
        started = time.perf_counter()
        found = search(query)
        times.append((time.perf_counter() - started) * 1e6)
        best.append([round(score, 3) for _, score in found])
    times.sort()
    return {
        **built,
        "p50_us": statistics.median(times),
        "p95_us": times[len(times) * 95 // 100],
        "scores": best if peer in ("ours", "bm25s") else [],
    }


def main(peers: list[str]) -> dict[str, dict]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "corpus.json"
        path.write_text(json.dumps(corpus()))
        rows = {peer: child("retrieval.py", "--peer", peer, str(path)) for peer in peers}
    lines = [
        [
            PEERS[peer],
            f"{row['build_cpu_s']:.2f}",
            f"{row['build_s']:.2f}",
            f"{row['p50_us']:.0f}",
            f"{row['p95_us']:.0f}",
        ]
        for peer, row in rows.items()
        if "failed" not in row
    ]
    table(f"{DOCUMENTS:,} documents, top {TOP}", ["", "build CPU s", "build s", "p50 us", "p95 us"], lines)
    failures(rows)
    scores = {peer: row.pop("scores", []) for peer, row in rows.items()}
    ok = {peer: row for peer, row in rows.items() if "failed" not in row}
    if {"ours", "tantivy"} <= ok.keys():
        half = ok["tantivy"]["build_cpu_s"] / 2
        target("an index is built in half of tantivy's CPU time", met=ok["ours"]["build_cpu_s"] <= half)
    if {"ours", "bm25s"} <= ok.keys():
        for time_of in ("p50_us", "p95_us"):
            target(
                f"a query takes no longer than bm25s's, {time_of[:3]}", met=ok["ours"][time_of] <= ok["bm25s"][time_of]
            )
        # bm25s sums in 32 bits, so that the last digit may differ.
        same = all(
            max((abs(a - b) for a, b in zip(left, right, strict=True)), default=0.0) < 2.1e-3
            for left, right in zip(scores["ours"], scores["bm25s"], strict=True)
        )
        target("the ten scores of each query are bm25s's", met=same)
    if "hybrid" in ok:
        target("hybrid search: p95 within 10 ms", met=ok["hybrid"]["p95_us"] <= 10_000)
    save("retrieval", rows)
    return rows


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        print(json.dumps(measured(*sys.argv[2:4])))
    else:
        main(sys.argv[1:] or list(PEERS))
