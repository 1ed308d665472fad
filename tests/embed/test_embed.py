"""Embedders and indexes as Python sees them."""

import array
import asyncio
import json
import random
import threading

import pytest

from atomr_agents import Agent, Embedder, InMemoryAnnIndex, ann_index, clear_factories, embedder, tool
from atomr_agents.embed import (
    AnnIndex,
    MockEmbedder,
    ann_index_from_factory,
    embedder_from_factory,
    embedding_tool_strategy,
    in_memory_ann_index,
    mock_embedder,
)
from atomr_agents.errors import (
    ConfigError,
    ContractError,
    CorruptError,
    InvalidRequestError,
    NotFoundError,
    ProtocolError,
    RateLimitedError,
    TooLargeError,
    UnsupportedFormatError,
)
from atomr_agents.testkit import ScriptedModel


@pytest.fixture(autouse=True)
def _forget():
    yield
    clear_factories()


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def unit(numbers, dim):
    length = sum(number * number for number in numbers) ** 0.5
    assert len(numbers) == dim
    return [number / length for number in numbers]


def some(count, dim, seed=1):
    chance = random.Random(seed)
    return [unit([chance.gauss(0, 1) for _ in range(dim)], dim) for _ in range(count)]


# --- embedders ---


async def test_an_embedder_gives_a_vector_of_each_text():
    made = Embedder("mock:64")
    assert (made.dim, made.model) == (64, "mock:64")
    one = await made.embed("rain in Oslo")
    assert isinstance(one, list) and len(one) == 64 and dot(one, one) == pytest.approx(1, abs=1e-5)
    both = await made.embed_batch(["rain in Oslo", "a tax form"])
    assert both[0] == one and dot(*both) < 0.5
    assert await made.embed_batch([]) == []
    table = await made.embed_table(["rain in Oslo", "a tax form"])
    assert (table.format, table.shape, table.tolist()) == ("f", (2, 64), both)
    assert await MockEmbedder(64).embed("rain in Oslo") == one == await mock_embedder(64).embed("rain in Oslo")


def test_an_embedder_serves_plain_code():
    assert len(Embedder("mock:8").embed_sync("rain")) == 8
    assert len(Embedder("mock:8").embed_batch_sync(("rain", "wind"))) == 2


@pytest.mark.parametrize("model", ["nonsense", "mock:", "mock:x", "mock:0", "other:64"])
def test_a_name_that_is_none_is_refused(model):
    with pytest.raises(ConfigError, match="mock|dim"):
        Embedder(model)


async def test_one_text_is_no_list_of_texts():
    with pytest.raises(ConfigError, match="a list of texts"):
        await Embedder("mock:8").embed_batch("rain")
    with pytest.raises(TypeError):
        await Embedder("mock:8").embed_batch([b"rain"])


# --- embedders of one's own ---


async def test_embed_batch_of_a_guest_is_used_for_many_and_embed_for_one():
    calls = []

    @embedder(name="mine")
    class Mine:
        dim = 2
        model = "mine-v1"

        async def embed(self, text):
            calls.append(text)
            return [1.0, float(len(text))]

        def embed_batch(self, texts):
            calls.append(list(texts))
            return [array.array("f", [2.0, len(text)]) for text in texts]

    mine = embedder_from_factory("mine")
    assert (mine.dim, mine.model) == (2, "mine-v1")
    assert await mine.embed("abc") == [1, 3]
    assert await mine.embed_batch(["a", "bb"]) == [[2, 1], [2, 2]]
    assert await mine.embed_batch([]) == []
    assert calls == ["abc", ["a", "bb"]]


async def test_without_embed_batch_a_few_texts_are_under_way_at_once():
    under_way, most = 0, 0

    @embedder
    async def slow(text):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.005)
        under_way -= 1
        return [float(text)]

    assert await Embedder(slow).embed_batch([str(n) for n in range(30)]) == [[float(n)] for n in range(30)]
    assert 2 <= most <= 8


async def test_what_was_done_before_a_failure_is_in_the_error():
    @embedder
    def fragile(text):
        if text == "4":
            raise LookupError("no vector for 4")
        return [float(text), 0.0]

    with pytest.raises(LookupError, match="no vector for 4") as caught:
        await Embedder(fragile).embed_batch([str(n) for n in range(9)])
    assert caught.value.done == [0, 1, 2, 3]
    assert caught.value.vectors == [[float(n), 0.0] for n in range(4)]


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        ("text", "a list of numbers"),
        ([[1.0], [2.0]], "a list of numbers"),
        (None, "a list of numbers"),
        ([float("nan"), 1.0], "not a finite number"),
        ([1e300, 1.0], "not a finite number"),
        ([], "dimension"),
        ([1.0], "its dim is 2, the vectors have 1"),
    ],
)
async def test_a_vector_that_is_none_breaks_the_contract(answer, wrong):
    @embedder
    class Wrong:
        def dim(self):
            return 2

        def embed(self, text):
            return answer

    made = Embedder(Wrong)
    assert made.dim == 2
    with pytest.raises(ContractError, match=wrong):
        await made.embed("x")


async def test_as_many_vectors_as_texts_or_none():
    @embedder
    class Short:
        def embed(self, text):
            return [1.0]

        def embed_batch(self, texts):
            return [[1.0]] * (len(texts) - 1)

    with pytest.raises(ContractError, match="embed_batch of 3 texts gave 2 vectors"):
        await Embedder(Short).embed_batch(["a", "b", "c"])


async def test_cancelling_stops_a_guest():
    stopped = asyncio.Event()

    @embedder
    async def endless(text):
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()

    task = asyncio.create_task(Embedder(endless).embed("x"))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(stopped.wait(), 2)


# --- embedders over HTTP ---


class Server:
    """An embedding server on loopback; `answer` makes status and body of the request's body."""

    def __init__(self, answer):
        self.answer, self.heads, self.bodies = answer, [], []

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/v1"
        return self

    async def __aexit__(self, *_):
        self.server.close()
        await self.server.wait_closed()

    async def _serve(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(
            int(line.split(":")[1]) for line in head.splitlines() if line.lower().startswith("content-length")
        )
        body = json.loads(await reader.readexactly(length))
        self.heads.append(head)
        self.bodies.append(body)
        status, answer = self.answer(body)
        text = json.dumps(answer).encode()
        writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % (status, len(text)) + text)
        await writer.drain()
        writer.close()


def openai(body):
    vector = [{"index": n, "embedding": [float(len(text)), 1.0]} for n, text in enumerate(body["input"])]
    return 200, {"data": vector[::-1]}


async def test_a_server_that_speaks_like_openai():
    async with Server(openai) as server:
        made = Embedder("openai:small", base_url=server.url, api_key="sk-canary", dimensions=2)
        assert await made.embed("abc") == [3.0, 1.0]
        texts = ["x" * (n % 7) for n in range(300)]
        assert await made.embed_batch(texts) == [[float(len(text)), 1.0] for text in texts]
        assert [len(body["input"]) for body in server.bodies[:1]] == [1] and len(server.bodies) == 4
        assert server.heads[0].startswith("POST /v1/embeddings ") and "Bearer sk-canary" in server.heads[0]
        assert server.bodies[0]["dimensions"] == 2
        assert (made.dim, made.model) == (2, f"openai:small:2@{server.url}")


async def test_what_a_server_refuses_has_its_class_and_its_status():
    async with Server(lambda body: (429, {"error": {"message": "slow down"}})) as server:
        made = Embedder("openai:small", base_url=server.url, api_key="sk-canary", max_attempts=1)
        with pytest.raises(RateLimitedError, match="slow down") as caught:
            await made.embed("abc")
        assert caught.value.status == 429 and len(server.bodies) == 1
    async with Server(lambda body: (200, {"data": []})) as server:
        with pytest.raises(ProtocolError, match="it answered 0 vectors for 1 texts"):
            await Embedder("openai:small", base_url=server.url, api_key="sk-canary").embed("abc")


def test_settings_belong_to_a_server(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        Embedder("openai:small")
    with pytest.raises(ConfigError, match="model is empty"):
        Embedder("openai:", api_key="k")
    with pytest.raises(ConfigError, match="base_url cannot be set here"):
        Embedder(MockEmbedder(3), base_url="http://localhost")
    with pytest.raises(ConfigError, match="dimensions"):
        Embedder("openai:small", api_key="k", dimensions=0)


async def test_any_embedder_can_be_batched():
    sizes = []

    @embedder
    class Counting:
        def embed(self, text):
            return self.embed_batch([text])[0]

        def embed_batch(self, texts):
            sizes.append(len(texts))
            if "7" in texts:
                raise LookupError("no vector for 7")
            return [[float(text), 1.0] for text in texts]

    made = Embedder(Counting).batched(max_texts=3, concurrency=1)
    assert await made.embed_batch([str(n) for n in range(7)]) == [[float(n), 1.0] for n in range(7)]
    assert sizes == [3, 3, 1]
    with pytest.raises(LookupError) as caught:
        await made.embed_batch([str(n) for n in range(12)])
    assert caught.value.done == [0, 1, 2, 3, 4, 5] and len(caught.value.vectors) == 6
    with pytest.raises(ConfigError, match="max_texts must be at least 1"):
        made.batched(max_texts=0)


# --- the index ---


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
def test_it_finds_what_plain_python_finds(metric):
    vectors = some(700, 20)
    query = some(1, 20, seed=2)[0]
    index = InMemoryAnnIndex(20, metric)
    index.upsert(range(700), vectors)

    def score(vector):
        return dot(query, vector) if metric != "l2" else -sum((a - b) ** 2 for a, b in zip(query, vector, strict=True))

    wanted = sorted(((score(vector), id) for id, vector in enumerate(vectors)), reverse=True)[:10]
    found = index.search(query, 10)
    assert [id for id, _ in found] == [id for _, id in wanted]
    assert [score for _, score in found] == pytest.approx([score for score, _ in wanted], abs=1e-5)
    assert index.search_batch([query, query], 10) == [found, found]
    assert (len(index), index.len(), index.dim, index.metric, index.ef) == (700, 700, 20, metric, None)
    assert repr(index) == f"<InMemoryAnnIndex, 700 vectors of 20 by {metric}, exact>"


def test_buffers_are_taken_as_they_are():
    index = InMemoryAnnIndex(2, "dot")
    table = memoryview(array.array("f", [1, 0, 0, 1, 1, 1])).cast("B").cast("f", (3, 2))
    index.upsert(array.array("Q", [1, 2, 2**64 - 1]), table)
    index.upsert(array.array("q", [5]), [array.array("d", [3.0, 3.0])])
    index.upsert(9, (0.0, 9.0))
    assert index.search(array.array("f", [0, 1]), 2) == [(9, 9.0), (5, 3.0)]
    assert index.search(array.array("d", [1, 0]), 1, allowed={2**64 - 1, 2}) == [(2**64 - 1, 1.0)]
    assert index.search_batch(table, 1) == [[(5, 3.0)], [(9, 9.0)], [(9, 9.0)]]
    assert index.vector(2) == [0.0, 1.0] and index.vector(3) is None and 9 in index and 3 not in index


def test_numpy_arrays_are_buffers():
    numpy = pytest.importorskip("numpy")
    vectors = numpy.asarray(some(50, 6), dtype=numpy.float32)
    index = InMemoryAnnIndex(6)
    index.upsert(numpy.arange(50), vectors)
    # Of another type, of other strides, and in the order of Fortran: the same numbers.
    for same in (vectors, vectors.astype(numpy.float64), numpy.asfortranarray(vectors), vectors[:, ::-1][:, ::-1]):
        assert [found[0][0] for found in index.search_batch(same, 1)] == list(range(50))
    assert index.search(vectors[7], 1)[0][0] == 7
    table = numpy.asarray(asyncio.run(_table()))
    assert table.shape == (2, 6) and table.dtype == numpy.float32


async def _table():
    return await MockEmbedder(6).embed_table(["a", "b"])


def test_what_comes_goes():
    index = InMemoryAnnIndex(2)
    assert index.search([1.0, 0.0], 3) == [] and bool(index)
    index.upsert([1, 2, 1], [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    assert index.search([1.0, 0.0], 3) == [(2, 0.0), (1, -1.0)], "the last vector of an id counts"
    assert index.remove([1, 1, 7]) == 1 and index.remove(7) == 0
    assert index.search([1.0, 0.0], 3) == [(2, 0.0)]
    assert index.search([1.0, 0.0], 0) == []


def test_bad_input_is_named():
    index = InMemoryAnnIndex(2, max_vectors=2)
    index.upsert([1], [[1.0, 0.0]])
    for call, error, text in [
        (lambda: index.upsert([2], [[1.0, 0.0, 0.0]]), InvalidRequestError, "dimension 2 was expected, not one of 3"),
        (lambda: index.upsert([2, 3], [[1.0, 0.0], [1.0]]), InvalidRequestError, "dimension 2 was expected"),
        (lambda: index.upsert([2], [[1.0, float("nan")]]), InvalidRequestError, "value 1 of vector 0 is not a finite"),
        (lambda: index.upsert([2, 3], [[1.0, 0.0]]), ConfigError, "ids are 2, the vectors 1"),
        (lambda: index.upsert([2, 3], [[1.0, 0.0]] * 2), TooLargeError, "it may hold 2 vectors"),
        (lambda: index.upsert([-1], [[1.0, 0.0]]), TypeError, "ids must be whole numbers"),
        (lambda: index.upsert([1.5], [[1.0, 0.0]]), TypeError, "ids must be whole numbers"),
        (lambda: index.upsert([2], "ab"), TypeError, "vectors must be a list of numbers"),
        (lambda: index.upsert([2], 7), TypeError, "vectors must be a list of vectors"),
        (lambda: index.search([1.0], 1), InvalidRequestError, "dimension 2 was expected, not one of 1"),
        (lambda: index.search([1.0, float("inf")], 1), InvalidRequestError, "not a finite number"),
        (lambda: index.search("ab", 1), TypeError, "query must be a list of numbers"),
        (lambda: index.search([1.0, 0.0], -1), OverflowError, "negative"),
        (lambda: InMemoryAnnIndex(0), ConfigError, "dim must be between 1 and 65,536, not 0"),
        (lambda: InMemoryAnnIndex(2, "euclid"), ConfigError, 'metric must be "cosine", "dot" or "l2", not "euclid"'),
        (lambda: InMemoryAnnIndex(2, recall=1.5), ConfigError, "recall must be"),
        (lambda: InMemoryAnnIndex(2, m=1), ConfigError, "m must be"),
        (lambda: InMemoryAnnIndex(2, ef=0), ConfigError, "ef must be"),
    ]:
        with pytest.raises(error, match=text):
            call()
    assert (len(index), index.vector(1)) == (1, [1.0, 0.0]), "what failed changed nothing"


def test_an_index_is_a_file(tmp_path):
    vectors = some(300, 8)
    index = InMemoryAnnIndex(8)
    index.upsert(range(300), vectors)
    path = tmp_path / "vectors.index"
    index.save(path)
    loaded = InMemoryAnnIndex.load(str(path))
    assert loaded.search(vectors[5], 9) == index.search(vectors[5], 9)
    loaded.remove(5)
    loaded.upsert(1000, vectors[5])
    assert loaded.search(vectors[5], 1)[0][0] == 1000 and index.search(vectors[5], 1)[0][0] == 5
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CorruptError, match=r"vectors\.index"):
        InMemoryAnnIndex.load(path)
    path.write_bytes(b"something else" * 99)
    with pytest.raises(UnsupportedFormatError):
        InMemoryAnnIndex.load(path)
    with pytest.raises(NotFoundError):
        InMemoryAnnIndex.load(tmp_path / "none")


def test_many_vectors_get_a_graph_and_filters_hold():
    chance = random.Random(3)
    middles = some(40, 24, seed=4)
    vectors = [[value + 0.1 * chance.gauss(0, 1) for value in middles[n % 40]] for n in range(3000)]
    index, exact = InMemoryAnnIndex(24, exact_below=1000, recall=0.97), InMemoryAnnIndex(24)
    index.upsert(range(3000), vectors)
    exact.upsert(range(3000), vectors)
    assert exact.ef is None and index.ef is not None
    allowed = range(0, 3000, 3)
    hits = every = 0
    for n in range(0, 3000, 61):
        for which in (None, allowed):
            found = {id for id, _ in index.search(vectors[n], 10, allowed=which)}
            wanted = {id for id, _ in exact.search(vectors[n], 10, allowed=which)}
            hits, every = hits + len(found & wanted), every + len(wanted)
            assert which is None or all(id % 3 == 0 for id in found)
    assert hits / every > 0.95
    index.ef = 200
    assert index.ef == 200


def test_threads_share_an_index_and_searching_holds_no_lock():
    index = InMemoryAnnIndex(64)
    vectors = some(2000, 64)
    index.upsert(range(2000), vectors)
    wrong = []

    def search():
        for n in range(0, 2000, 20):
            if index.search(vectors[n], 1)[0][0] != n:
                wrong.append(n)

    threads = [threading.Thread(target=search) for _ in range(4)]
    for thread in threads:
        thread.start()
    for n in range(2000, 2200):
        index.upsert(n, [1.0] * 64)
    for thread in threads:
        thread.join(30)
    assert not wrong and len(index) == 2200


# --- indexes that are awaited, and those of one's own ---


@ann_index(name="plain")
class Plain:
    def __init__(self):
        self.all = {}

    async def upsert(self, id, vec):
        self.all[id] = vec

    def search(self, query, top_k):
        return sorted(((id, dot(query, vec)) for id, vec in self.all.items()), key=lambda pair: -pair[1])[:top_k]

    def len(self):
        return len(self.all)

    def remove(self, id):
        return self.all.pop(id, None) is not None


def made(which):
    if which == "guest":
        ann_index(name="plain")(Plain)
        return ann_index_from_factory("plain")
    return in_memory_ann_index(2) if which == "published" else AnnIndex(InMemoryAnnIndex(2))


@pytest.mark.parametrize("which", ["guest", "published", "of memory"])
async def test_every_index_can_be_awaited(which):
    index = made(which)
    assert await index.len() == 0
    await index.upsert(1, [1.0, 0.0])
    await index.upsert([2, 3], [[0.6, 0.8], [0.0, 1.0]])
    assert await index.len() == 3 and index.dim == 2
    assert [id for id, _ in await index.search([1.0, 0.0], 2)] == [1, 2]
    assert [id for id, _ in await index.search([1.0, 0.0], 1, allowed=[3])] == [3]
    assert await index.search([1.0, 0.0], 0) == []
    assert await index.remove([1, 99]) == 1
    assert [id for id, _ in await index.search([1.0, 0.0], 9)] == [2, 3]
    with pytest.raises(InvalidRequestError, match="dimension 2 was expected, not one of 1"):
        await index.search([1.0], 1)
    with pytest.raises(InvalidRequestError, match="dimension 2 was expected, not one of 3"):
        await index.upsert([4], [[1.0, 2.0, 3.0]])


# --- tools by their descriptions ---


def made_tool(name, description):
    @tool(name=name, description=description)
    def run() -> str:
        return name

    return run


TOOLS = [("search", "find pages"), ("rain", "the weather and rain of a city"), ("refund", "pay an order back")]


async def test_an_agent_is_offered_the_tools_that_are_nearest_to_what_is_asked():
    texts = []

    @embedder
    class Words:
        def embed(self, text):
            return self.embed_batch([text])[0]

        def embed_batch(self, all_texts):
            texts.append(list(all_texts))
            return MockEmbedderNow.vectors(all_texts)

    tools = [made_tool(*each) for each in TOOLS]
    strategy = embedding_tool_strategy(Words, tools, top_k=1, always=["search"])
    assert await strategy.select("pay my order back") == ["search", "refund"]
    model = ScriptedModel().text("wet").text("dry")
    agent = Agent(model, tools=strategy)
    await agent.run("Will there be rain in the city?")
    await agent.run("Is there rain in the city?")
    assert [[spec["name"] for spec in request["tools"]] for request in model.requests] == [["search", "rain"]] * 2
    assert len([batch for batch in texts if len(batch) == 3]) == 1, "the tools are embedded once"


class MockEmbedderNow:
    """The words of texts as vectors, without waiting."""

    @staticmethod
    def vectors(texts):
        words = sorted({word for _, text in TOOLS for word in text.split()})
        return [[1.0, *(float(word in text.split()) for word in words)] for text in texts]


async def test_tools_that_cannot_be_chosen_from_are_named():
    tools = [made_tool(*each) for each in TOOLS]
    with pytest.raises(ConfigError, match="top_k"):
        embedding_tool_strategy("mock:8", tools, top_k=0)
    with pytest.raises(ConfigError, match="nobody"):
        embedding_tool_strategy("mock:8", tools, always=["nobody"])
    assert await embedding_tool_strategy(mock_embedder(8)).select("rain") == []
