"""Splitters beside their peers: prose in pieces of 1,000 characters, Markdown at its headings.

`python splitting.py` measures in one process, rounds of all peers alternating, so that a busy machine slows all of
them; the figures are megabytes of text for a second of CPU time, medians are compared. Ours make documents with their
places, the peers texts.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from common import failures, save, table, target

ROUNDS = 7
SLOW_ROUNDS = 2
MEGABYTES = 10
SIZE = 1_000
OVERLAP = 200

Work = Callable[[], Any]


def words(seed: int) -> Callable[[], str]:
    """A source of words as long as English ones are."""
    source = random.Random(seed)
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    known = ["".join(source.choices(letters, k=source.randint(1, 11))) for _ in range(5_000)]
    return lambda: source.choice(known)


def prose(size: int) -> str:
    """Paragraphs of sentences, nothing but ASCII, so that each character is a byte."""
    word, source = words(1), random.Random(2)
    paragraphs: list[str] = []
    length = 0
    while length < size:
        sentences = [" ".join(word() for _ in range(source.randint(6, 24))) for _ in range(source.randint(2, 9))]
        paragraph = ". ".join(sentence.capitalize() for sentence in sentences) + "."
        paragraphs.append(paragraph)
        length += len(paragraph) + 2
    return "\n\n".join(paragraphs)[:size]


def markdown(size: int) -> str:
    """Sections of three levels with paragraphs, lists and fences."""
    word, source = words(3), random.Random(4)
    lines: list[str] = []
    length = 0
    while length < size:
        level = source.choice((1, 2, 2, 3, 3, 3))
        section = ["#" * level + " " + " ".join(word() for _ in range(4)), ""]
        for _ in range(source.randint(1, 4)):
            section += [" ".join(word() for _ in range(14)) for _ in range(source.randint(1, 6))]
            section.append("")
        if source.random() < 0.3:
            section += ["```python", "# " + word(), f"{word()} = 1", "```", ""]
        if source.random() < 0.3:
            section += [f"- {word()} {word()}" for _ in range(4)] + [""]
        lines += section
        length += sum(len(line) + 1 for line in section)
    return "\n".join(lines)[:size]


def compare(peers: dict[str, tuple[Work, int]], size: int) -> dict[str, dict]:
    """Megabytes of each peer for a second of CPU. The number beside one says for how many rounds it takes part."""
    rounds: dict[str, list[float]] = {name: [] for name in peers}
    for n in range(max(limit for _, limit in peers.values()) + 1):
        for name, (work, limit) in peers.items():
            if n > limit:
                continue
            started = time.process_time()
            work()
            if n:  # the first round warms up
                rounds[name].append(size / 1e6 / (time.process_time() - started))
    return {name: {"mb_s": statistics.median(each), "mb_s_best": max(each)} for name, each in rounds.items()}


def of_prose(overlap: int) -> dict[str, dict]:
    from langchain_text_splitters import RecursiveCharacterTextSplitter
    from semantic_text_splitter import TextSplitter

    from atomr_agents import Document
    from atomr_agents.ingest import RecursiveSplitter

    text = prose(MEGABYTES * 1_000_000)
    document, ours = Document("s", text), RecursiveSplitter(SIZE, overlap)
    theirs = RecursiveCharacterTextSplitter(chunk_size=SIZE, chunk_overlap=overlap)
    semantic = TextSplitter(SIZE, overlap, trim=False)
    pieces = ours.split(document)
    assert all(len(piece.text) <= SIZE for piece in pieces)
    if not overlap:
        assert "".join(piece.text for piece in pieces) == text
    return compare(
        {
            "ours": (lambda: ours.split(document), ROUNDS),
            "langchain-text-splitters": (lambda: theirs.split_text(text), ROUNDS),
            "semantic-text-splitter": (lambda: semantic.chunks(text), SLOW_ROUNDS),
        },
        len(text),
    )


def of_markdown() -> dict[str, dict]:
    from langchain_text_splitters import MarkdownHeaderTextSplitter
    from semantic_text_splitter import MarkdownSplitter

    from atomr_agents import Document
    from atomr_agents.ingest import MarkdownHeaderSplitter

    text = markdown(MEGABYTES * 1_000_000)
    document, ours = Document("s", text), MarkdownHeaderSplitter()
    theirs = MarkdownHeaderTextSplitter([("#" * level, f"h{level}") for level in range(1, 7)])
    semantic = MarkdownSplitter(SIZE, trim=False)
    part = text[: len(text) // 10]
    rows = compare(
        {
            "ours": (lambda: ours.split(document), ROUNDS),
            "langchain-text-splitters": (lambda: theirs.split_text(text), SLOW_ROUNDS),
        },
        len(text),
    )
    return {**rows, **compare({"semantic-text-splitter": (lambda: semantic.chunks(part), SLOW_ROUNDS)}, len(part))}


def main() -> dict[str, dict]:
    # What is promised, in megabytes on a machine on which langchain reaches 133, 119 and 74.
    kinds: dict[str, tuple[Callable[[], dict[str, dict]], float]] = {
        f"prose, {SIZE} characters": (lambda: of_prose(0), 800 / 133),
        f"prose, overlap {OVERLAP}": (lambda: of_prose(OVERLAP), 600 / 119),
        "Markdown, headings": (of_markdown, 400 / 74),
    }
    every: dict[str, dict] = {}
    for name, (measure, wanted) in kinds.items():
        rows = measure()
        lines = [
            [peer, f"{row['mb_s']:.1f}", f"{rows['ours']['mb_s'] / row['mb_s']:.1f} x"] for peer, row in rows.items()
        ]
        table(f"Splitting: {name}", ["", "MB per CPU s", "ours to it"], lines)
        failures(rows)
        ratio = rows["ours"]["mb_s"] / rows["langchain-text-splitters"]["mb_s"]
        target(f"{wanted:.1f} x langchain-text-splitters", met=ratio >= wanted)
        every[name] = rows
    save("splitting", every)
    return every


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
