"""Splitters: what a piece is, where texts are cut, and what is refused."""

import asyncio
import copy
import gc
import itertools
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomr_agents import Document, Span, clear_factories, splitter
from atomr_agents.errors import AgentError, ConfigError, ContractError
from atomr_agents.ingest import (
    CodeLang,
    CodeSplitter,
    MarkdownHeaderSplitter,
    RecursiveSplitter,
    Splitter,
    TokenSplitter,
    code_splitter,
    markdown_header_splitter,
    recursive_character_splitter,
    splitter_from_factory,
    splitter_of,
    token_splitter,
)

ALL: list[Splitter] = [
    RecursiveSplitter(10, 4),
    RecursiveSplitter(7, separators=["ö", " "]),
    RecursiveSplitter(5, 2, model="gpt-4o"),
    MarkdownHeaderSplitter(),
    MarkdownHeaderSplitter([1], chunk_size=9, overlap=3),
    CodeSplitter("python", 12, 3),
    TokenSplitter(4, 1),
    MarkdownHeaderSplitter().then(RecursiveSplitter(8)),
]


@pytest.fixture(autouse=True)
def clean():
    yield
    clear_factories()


@settings(deadline=None)  # the first one loads the tokens
@given(st.text(alphabet="ab .\n#é☔\u0301👨\u200d👩`öäß-=", max_size=120))
def test_pieces_are_slices_with_their_places_and_cover_the_text(text: str):
    raw = text.encode()
    for each in ALL:
        covered = 0
        for n, piece in enumerate(each.split(Document("s", text, {"a": 1}))):
            span = piece.span
            assert span is not None and span.source == "s" and piece.id == f"s#{n}"
            assert piece.text == text[slice(*span.chars)] == raw[slice(*span.bytes)].decode()
            assert piece.metadata["a"] == 1 and piece.text and span.bytes[0] <= covered < span.bytes[1]
            covered = span.bytes[1]
        assert covered == len(raw)


def test_a_piece_is_a_document_of_its_own():
    def cut() -> Document:
        source = Document("s", "# Ä\n\nRain in Oslo.\n", {"a": 1})
        return MarkdownHeaderSplitter().then(RecursiveSplitter(9)).split(source)[2]

    # Its source is named nowhere any more.
    piece = cut()
    gc.collect()
    assert (piece.text, piece.id) == ("Oslo.\n", "s#2")
    assert piece.metadata == {"a": 1, "h1": "Ä", "headings": ["Ä"]}
    assert repr(piece) == 'Document("s#2", "Oslo.\\n")'
    same = Document("s#2", "Oslo.\n", piece.metadata, span=Span("s", (14, 20), (13, 19)))
    assert piece == same == copy.deepcopy(piece) == pickle.loads(pickle.dumps(piece))
    assert Document.from_dict(piece.to_dict()) == piece
    inner = RecursiveSplitter(3).split(piece)
    assert [(each.id, each.text, each.span.chars) for each in inner if each.span] == [
        ("s#2#0", "Osl", (13, 16)),
        ("s#2#1", "o.\n", (16, 19)),
    ]


def test_many_threads_may_look_at_one_piece():
    pieces = RecursiveSplitter(10).split(Document("s", "word " * 1_000, {"a": list(range(20))}))
    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(lambda _: [(piece.id, piece.text, piece.metadata["a"][-1]) for piece in pieces], range(8)))
    assert seen == [[(f"s#{n}", "word word ", 19) for n in range(500)]] * 8


@settings(deadline=None)  # the first one loads the tokens
@given(st.text(alphabet="abc ö\n.", max_size=200), st.integers(1, 40), st.integers(0, 99))
def test_no_piece_is_too_long_and_the_overlap_counts_in_it(text: str, size: int, part: int):
    overlap = size * part // 100
    pieces = RecursiveSplitter(size, overlap).split(Document("s", text))
    assert all(len(piece.text) <= size for piece in pieces)
    spans = [piece.span.chars for piece in pieces if piece.span]
    assert all(0 <= before[1] - after[0] <= overlap for before, after in itertools.pairwise(spans))
    if not overlap:
        assert "".join(piece.text for piece in pieces) == text


def test_a_text_is_cut_where_it_is_cut_best():
    text = "One. Two three.\n\nFour five six. Seven.\nEight"
    assert RecursiveSplitter(20).split_text(text) == ["One. Two three.\n\n", "Four five six. ", "Seven.\nEight"]
    assert RecursiveSplitter(4).split_text("日本語の文章") == ["日本語の", "文章"]
    assert RecursiveSplitter(3).split_text("👨‍👩‍👧👨‍👩‍👧") == ["👨‍👩‍👧"] * 2  # one character of a reader is never cut
    assert RecursiveSplitter(5).split_text("") == []


def test_words_are_not_cut_by_an_overlap():
    assert recursive_character_splitter(10, 4).split_text("bbbbbbbb cccc dddd eeee") == [
        "bbbbbbbb ",
        "cccc dddd ",
        "eeee",
    ]


def test_sections_know_their_headings():
    text = (
        "Intro\n\nTop\n===\n\n```\n# no heading\n```\n\n## A ##\ntext\n"
        "### B\ntext\n> # quoted\n\n<!--\n# no\n-->\n# Other\n"
    )
    pieces = MarkdownHeaderSplitter().split(Document("s", text))
    assert [piece.metadata.get("headings") for piece in pieces] == [
        None,
        ["Top"],
        ["Top", "A"],
        ["Top", "A", "B"],
        ["Other"],
    ]
    assert pieces[2].metadata["h1"] == "Top" and pieces[2].metadata["h2"] == "A" and "h3" not in pieces[2].metadata
    assert "# no heading" in pieces[1].text and "# quoted" in pieces[3].text
    top = MarkdownHeaderSplitter([1]).split(Document("s", text))
    assert [piece.metadata.get("headings") for piece in top] == [None, ["Top"], ["Other"]]
    assert len(markdown_header_splitter().split(Document("s", text))) == 5


def test_front_matter_is_no_heading():
    pieces = MarkdownHeaderSplitter().split(Document("s", "---\ntitle: Rain\n---\n# Real\n"))
    assert [piece.metadata.get("headings") for piece in pieces] == [None, ["Real"]]


def test_programs_are_cut_between_their_items():
    source = (
        "import { x } from 'x';\n\n// Rain.\n@observed\nexport class Rain {\n"
        "  fall = async () => { await x(); };\n}\n\n"
        "export const wind = () => {\n  return 1;\n};\n\nexport async function sun() {\n  return 2;\n}\n"
    )
    pieces = CodeSplitter(CodeLang.TypeScript, 90).split(Document("s", source))
    assert [piece.text.strip().splitlines()[0] for piece in pieces] == [
        "import { x } from 'x';",
        "// Rain.",
        "export const wind = () => {",
    ]
    assert {piece.metadata["language"] for piece in pieces} == {"typescript"}
    assert CodeSplitter(".py", 10).language == CodeSplitter("Python").language == "python"
    assert code_splitter(CodeLang.Js).language == "javascript"


def test_tokens_are_those_of_the_model_and_white_space_stays():
    text = "one  two\n\n\tthree 3.14 " * 20
    pieces = token_splitter(16, 4).split(Document("s", text))
    assert all(RecursiveSplitter(16, model="gpt-4o").split_text(piece.text) == [piece.text] for piece in pieces)
    assert "".join(TokenSplitter(16).split_text(text)) == text


def test_a_piece_of_a_piece_has_its_place_in_the_first_source():
    document = Document("s", "ö # no\n# One two\n# Three")
    section = MarkdownHeaderSplitter().split(document)[1]
    piece = RecursiveSplitter(6).split(section)[1]
    assert piece.span is not None and (piece.id, piece.span.source) == ("s#1#1", "s")
    assert document.text[slice(*piece.span.chars)] == piece.text
    joined = MarkdownHeaderSplitter().then(RecursiveSplitter(6)).split(document)
    assert [each.id for each in joined] == [f"s#{n}" for n in range(len(joined))]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RecursiveSplitter(0), "chunk_size must be a whole number from 1"),
        (lambda: RecursiveSplitter(5, 5), r"overlap must be smaller than chunk_size \(5\), not 5"),
        (lambda: RecursiveSplitter(5, -1), "overlap must be a whole number from 0"),
        (lambda: RecursiveSplitter(5, separators=[""]), "separators must not hold an empty text"),
        (lambda: RecursiveSplitter(5, separators="ab"), "separators must be a list of texts, not str"),
        (lambda: MarkdownHeaderSplitter([7]), "levels must be numbers from 1 to 6, not 7"),
        (lambda: MarkdownHeaderSplitter([]), "levels must name a level"),
        (lambda: MarkdownHeaderSplitter(overlap=3), "overlap needs a chunk_size"),
        (lambda: CodeSplitter("cobol"), 'language must be one of c, cpp, go.* not "cobol"'),
        (lambda: TokenSplitter(3, model=""), "model is empty"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_other_threads_run_while_a_text_is_cut():
    document = Document("s", "Rain and wind. " * 2_000_000)
    splitter = TokenSplitter(50)
    beats = []
    done = threading.Event()

    def beat():
        while not done.is_set():
            beats.append(time.monotonic())
            time.sleep(0.001)

    thread = threading.Thread(target=beat)
    small = Document("s", document.text[:1_500_000])
    thread.start()
    started = time.monotonic()
    splitter.split(small)
    took = time.monotonic() - started
    done.set()
    thread.join()
    within = [at for at in beats if started <= at <= started + took]
    assert len(within) > took * 50, f"{len(within)} beats in {took:.2f} s"


# --- splitters of one's own ---


async def test_a_splitter_of_ones_own_may_be_plain_or_async_a_class_or_an_instance():
    @splitter("lines")
    def lines(document: Document) -> list[Document]:
        return [Document(f"{document.id}#{n}", line) for n, line in enumerate(document.text.splitlines())]

    @splitter
    class Halves:
        async def split(self, document: Document) -> tuple[Document, ...]:
            await asyncio.sleep(0)
            half = len(document.text) // 2
            return (Document("1", document.text[:half]), Document("2", document.text[half:]))

    document = Document("a", "Rain.\nWind.")
    assert [piece.id for piece in await splitter_from_factory("lines").split(document)] == ["a#0", "a#1"]
    assert [piece.text for piece in await splitter_from_factory("Halves").split(document)] == ["Rain.", "\nWind."]
    assert len(await splitter_of(Halves).split_all([document, document])) == 4
    assert splitter_of(RecursiveSplitter(5)).__class__ is RecursiveSplitter
    with pytest.raises(KeyError, match="lines"):
        splitter_from_factory("nothing")


def test_it_can_be_waited_for_where_no_loop_runs():
    assert [piece.id for piece in splitter_of(lambda document: [document]).split_sync(Document("a", "x"))] == ["a"]


async def test_what_a_splitter_of_ones_own_raises_or_gives_wrongly_is_an_error():
    def broken(document: Document) -> list[Document]:
        raise LookupError(document.id)

    with pytest.raises(LookupError, match="a"):
        await splitter_of(broken).split(Document("a", "x"))
    for wrong in (None, "text", [{"id": "a"}], [1]):
        with pytest.raises(ContractError, match="expected a list of Document") as caught:
            await splitter_of(lambda document, wrong=wrong: wrong).split(Document("a", "x"))
        assert isinstance(caught.value, AgentError) and caught.value.guest == "splitter"
    with pytest.raises(ContractError, match="splitter"):
        splitter_of(7)  # type: ignore[arg-type]
