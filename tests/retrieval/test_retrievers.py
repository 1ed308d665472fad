"""Retrievers: what is found, in which order, and what wrong input says."""

import asyncio
import math
import threading
import time

import pytest

from atomr_agents import Agent, Document, Filter, HybridIndex, Pipeline, guest, retriever
from atomr_agents.errors import AgentError, ConfigError, ContractError, InvalidOutputError, StorageError
from atomr_agents.retriever import (
    Bm25Retriever,
    ContextualCompressionRetriever,
    EmbeddingsFilter,
    EnsembleRetriever,
    Field,
    MmrRetriever,
    MultiQueryRetriever,
    ParentDocumentRetriever,
    RerankedRetriever,
    Retriever,
    SelfQueryRetriever,
    TimeWeightedRetriever,
    VectorRetriever,
    bm25_retriever,
    fuse,
    mmr,
    retriever_from_factory,
)
from atomr_agents.testkit import ScriptedModel

TEXTS = {
    "a": "Rain in Oslo",
    "b": "Rain, rain and wind in Bergen",
    "c": "A rain of frogs",
    "d": "Sun over the sea",
}


def documents() -> list[Document]:
    return [Document(id, text, {"n": at, "tags": [id, "all"]}) for at, (id, text) in enumerate(TEXTS.items())]


def ids(found: list[Document]) -> list[str]:
    return [document.id for document in found]


def test_bm25_scores_by_the_formula():
    notes = Bm25Retriever(documents(), k1=1.2, b=0.5)
    found = notes.retrieve_sync("oslo")
    mean = (3 + 6 + 4 + 4) / 4
    expected = math.log(1 + 3.5 / 1.5) / (1 + 1.2 * (0.5 + 0.5 * 3 / mean))
    assert ids(found) == ["a"]
    assert found[0].score == pytest.approx(expected, abs=1e-12)
    assert found[0].metadata == {"n": 0, "tags": ["a", "all"]}
    assert found[0].text == TEXTS["a"]


def test_k1_and_b_are_honoured_and_checked():
    scores = {
        (k1, b): Bm25Retriever(documents(), k1=k1, b=b).retrieve_sync("rain")[0].score
        for k1 in (0.5, 1.5)
        for b in (0.0, 0.75)
    }
    assert len(set(scores.values())) == 4
    with pytest.raises(ConfigError, match="k1 must be a number from 0"):
        Bm25Retriever(k1=-1)
    with pytest.raises(ConfigError, match="b must lie between 0 and 1"):
        Bm25Retriever(b=2)
    with pytest.raises(ConfigError, match="language must be one of arabic"):
        Bm25Retriever(language="klingon")


def test_documents_are_replaced_and_removed():
    notes = bm25_retriever(documents(), 10)
    notes.add([Document("a", "snow")])
    assert len(notes) == 4
    assert "a" not in ids(notes.retrieve_sync("rain"))
    assert ids(notes.retrieve_sync("snow")) == ["a"]
    assert notes.remove("a", "a", "nobody") == 1
    assert notes.retrieve_sync("snow") == []
    assert notes.get("a") is None
    kept = notes.get("b")
    assert kept is not None and kept.score is None
    with pytest.raises(AgentError, match="has no id"):
        notes.add([Document("x", "snow"), Document("", "snow")])
    assert notes.retrieve_sync("snow") == []


def test_a_language_has_stems_and_stop_words():
    notes = Bm25Retriever(documents(), language="english", stop_words=True)
    assert ids(notes.retrieve_sync("raining frog")) == ["c", "b", "a"]
    assert notes.retrieve_sync("in the") == []


def test_filters_are_part_of_the_search():
    notes = Bm25Retriever(documents(), top_k=1)
    assert ids(notes.retrieve_sync("rain", filter=Filter.eq("n", 2.0))) == ["c"]
    assert ids(notes.retrieve_sync("rain", top_k=9, filter=~Filter.lt("n", 2) | Filter.contains("tags", "a"))) == [
        "a",
        "c",
    ]
    both = Filter.ge("n", 0) & {"op": "in", "key": "n", "values": [1]}
    assert Filter.from_dict(both.to_dict()) == both
    assert ids(notes.retrieve_sync("rain", filter=both)) == ["b"]
    assert both.matches({"n": 1}) and not both.matches({"n": "1"})
    with pytest.raises(AgentError, match="only numbers and texts have an order, not a boolean"):
        Filter.lt("n", True)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="this is no filter"):
        notes.retrieve_sync("rain", filter={"op": "like", "key": "n", "value": 1})


@pytest.mark.parametrize("query", ["", "  ", "…", "x" * 1_000_000, "rain " * 200_000])
def test_odd_queries_are_answered(query):
    assert len(Bm25Retriever(documents()).retrieve_sync(query)) == (3 if "rain" in query else 0)
    assert Bm25Retriever().retrieve_sync(query) == []


def test_a_number_that_is_none_is_refused():
    notes = Bm25Retriever(documents())
    assert notes.retrieve_sync("rain", top_k=0) == []
    for top_k in (-1, 1.5, "3", True):
        with pytest.raises(ConfigError, match="top_k"):
            notes.retrieve_sync("rain", top_k=top_k)  # type: ignore[arg-type]


def test_vectors_keep_the_metadata_and_filter_it():
    notes = VectorRetriever("mock:256", top_k=2)
    notes.add_sync(documents())
    found = notes.retrieve_sync("rain in oslo")
    assert found[0].id == "a" and found[0].metadata == {"n": 0, "tags": ["a", "all"]}
    assert ids(notes.retrieve_sync("rain in oslo", filter=Filter.eq("n", 3))) == ["d"]
    aged = TimeWeightedRetriever(notes, 1.0, key="n", now_ms=3_600_000 * 2)
    assert aged.retrieve_sync("rain in oslo")[0].score == pytest.approx(found[0].score * math.exp(-2), rel=1e-6)

    async def main():
        assert await notes.remove("a", "nobody") == 1
        return await notes.retrieve("rain in oslo")

    assert "a" not in ids(asyncio.run(main()))
    assert len(notes) == 3


def test_a_hybrid_index_is_saved_and_loaded(tmp_path):
    notes = HybridIndex("mock:64", top_k=3)
    notes.add_sync(documents())
    path = tmp_path / "notes.index"
    notes.save(path)
    loaded = HybridIndex.load(path, "mock:64", top_k=3)
    assert loaded.retrieve_sync("rain in oslo") == notes.retrieve_sync("rain in oslo")
    assert ids(loaded.retrieve_sync("rain in oslo"))[0] == "a"
    with pytest.raises(ConfigError, match="embedder is"):
        HybridIndex.load(path, "mock:32")
    (path / "index").write_bytes((path / "index").read_bytes()[:-1])
    with pytest.raises(StorageError, match="checksum"):
        HybridIndex.load(path, "mock:64")


def test_an_index_of_words_is_saved_and_loaded(tmp_path):
    path = tmp_path / "notes.words"
    notes = Bm25Retriever(documents(), language="english")
    notes.save(path)
    notes.remove("a")
    notes.add([Document("f", "Raining again", {"n": 9})])
    notes.save(path)
    loaded = Bm25Retriever.load(path, language="english")
    assert len(loaded) == 4 and loaded.retrieve_sync("raining") == notes.retrieve_sync("raining")
    assert loaded.get("f").metadata == {"n": 9}
    assert [entry.name for entry in tmp_path.iterdir()] == ["notes.words"]
    loaded.add([Document("g", "rain")])
    assert len(loaded) == 5
    with pytest.raises(ConfigError, match="analyzer is"):
        Bm25Retriever.load(path)
    with pytest.raises(ConfigError, match="k1 is"):
        Bm25Retriever.load(path, k1=1.2, language="english")
    whole = path.read_bytes()
    for broken, said in [(whole[:-1], "checksum"), (b"", "begin"), (b"x" * 99, "begin"), (whole[:60], "checksum")]:
        path.write_bytes(broken)
        with pytest.raises(StorageError, match=said):
            Bm25Retriever.load(path, language="english")
    with pytest.raises(AgentError, match="nowhere"):
        Bm25Retriever.load(tmp_path / "nowhere")
    with pytest.raises(AgentError, match="no-folder"):
        notes.save(tmp_path / "no-folder" / "notes")


def test_an_embedder_of_ones_own_is_asked_once_for_all_documents():
    calls: list[int] = []

    class Letters:
        dim = 3

        def embed(self, text):
            return self.embed_batch([text])[0]

        async def embed_batch(self, texts):
            calls.append(len(texts))
            return [[text.lower().count(letter) + 0.01 for letter in "aou"] for text in texts]

    kept = EmbeddingsFilter(Bm25Retriever(documents()), Letters(), -1.0)
    plain = Bm25Retriever(documents()).retrieve_sync("rain")
    assert kept.retrieve_sync("rain") == plain
    assert calls == [4]
    near = EmbeddingsFilter(Bm25Retriever(documents()), Letters(), -1.0, rescore=True).retrieve_sync("rain")
    assert {one.id for one in near} == {one.id for one in plain} and near[0].score != plain[0].score


def test_an_ensemble_weighs_its_members_and_asks_them_at_once():
    barrier = asyncio.Event()
    entered: list[str] = []

    def member(name: str):
        async def find(query: str):
            entered.append(name)
            if len(entered) == 2:
                barrier.set()
            await asyncio.wait_for(barrier.wait(), 5)
            return [Document(name, query), Document("both", query)]

        return find

    async def main(weights):
        entered.clear()
        barrier.clear()
        return await EnsembleRetriever([member("x"), member("y")], weights=weights).retrieve("q")

    assert ids(asyncio.run(main(None))) == ["both", "x", "y"]
    assert ids(asyncio.run(main([1, 5]))) == ["both", "y", "x"]
    with pytest.raises(ConfigError, match="2 members and 1 weights"):
        EnsembleRetriever([member("x"), member("y")], weights=[1])
    with pytest.raises(ConfigError, match="members"):
        EnsembleRetriever([])


def test_rrf_and_mmr_are_those_of_numpy():
    numpy = pytest.importorskip("numpy")
    random = numpy.random.default_rng(7)
    for _ in range(20):
        lists = [[Document(str(id), "") for id in random.permutation(30)[:12]] for _ in range(3)]
        weights = random.random(3).tolist()
        scores: dict[str, float] = {}
        for weight, listed in zip(weights, lists, strict=True):
            for rank, document in enumerate(listed, 1):
                scores[document.id] = scores.get(document.id, 0.0) + weight / (60 + rank)
        fused = fuse(lists, weights)
        assert [one.score for one in fused] == pytest.approx(sorted(scores.values(), reverse=True), abs=1e-12)
        assert all(one.score == pytest.approx(scores[one.id], abs=1e-12) for one in fused)

        query, vectors = random.normal(size=8).astype("f4"), random.normal(size=(25, 8)).astype("f4")
        unit = vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True)
        near, alike = unit @ (query / numpy.linalg.norm(query)), unit @ unit.T
        picked: list[int] = []
        while len(picked) < 10:
            penalty = alike[:, picked].max(axis=1) if picked else numpy.zeros(25)
            value = 0.4 * near - 0.6 * penalty
            value[picked] = -numpy.inf
            picked.append(int(value.argmax()))
        assert [at for at, _ in mmr(query.tolist(), vectors.tolist(), 0.4, 10)] == picked
    with pytest.raises(ConfigError, match="lambda_"):
        mmr([1.0], [[1.0]], 2.0, 1)
    with pytest.raises(ConfigError, match="the query has 1 values"):
        mmr([1.0], [[1.0, 2.0]], 0.5, 1)


def test_scores_are_those_of_bm25s():
    bm25s = pytest.importorskip("bm25s")
    numpy = pytest.importorskip("numpy")
    random = numpy.random.default_rng(3)
    texts = [" ".join(f"w{word}" for word in random.zipf(1.3, 40) % 500) for _ in range(400)]
    peer = bm25s.BM25(method="lucene", k1=1.5, b=0.75, dtype="float64")
    peer.index(bm25s.tokenize(texts, stopwords=None, token_pattern=r"\S+", show_progress=False), show_progress=False)
    notes = Bm25Retriever([Document(f"{at:03}", text) for at, text in enumerate(texts)], top_k=10)
    for text in texts[:50]:
        query = " ".join(text.split()[:4])
        found = {int(one.id): one.score for one in notes.retrieve_sync(query, top_k=400)}
        scores = peer.get_scores(query.split())
        assert found == pytest.approx({at: score for at, score in enumerate(scores) if score > 0}, abs=1e-6)


def test_models_write_queries_and_pick_and_score():
    notes = Bm25Retriever(documents())
    queries = ScriptedModel().text('{"queries": ["frogs", "sun"]}')
    assert sorted(ids(MultiQueryRetriever(notes, queries).retrieve_sync("oslo"))) == ["a", "c", "d"]
    with pytest.raises(ConfigError, match="give one of the two"):
        MultiQueryRetriever(notes)
    picks = ScriptedModel().text('{"passages": ["rain of frogs", "rain of cats"]}')
    assert ContextualCompressionRetriever(notes, model=picks).retrieve_sync("frogs")[0].text == "rain of frogs"
    scored = RerankedRetriever(notes, ScriptedModel().text('{"scores": [1, 2, 3]}'), top_k=1)
    assert scored.retrieve_sync("rain")[0].score == 3.0
    near = RerankedRetriever(notes, embedder="mock:256")
    assert near.retrieve_sync("rain frogs of a")[0].id == "c"
    broken = MultiQueryRetriever(notes, ScriptedModel().text("no").text("no JSON either"))
    with pytest.raises(InvalidOutputError, match="search queries by"):
        broken.retrieve_sync("rain")


def test_a_reranker_and_a_compressor_of_ones_own():
    notes = Bm25Retriever(documents())

    class Mine:
        async def rerank(self, query: str, documents: list[Document]) -> list[float]:
            assert query == "rain" and all(isinstance(document, Document) for document in documents)
            return [document.metadata["n"] for document in documents]

        def compress(self, query: str, text: str) -> str | None:
            return text[:4] if "Rain" in text else None

    assert ids(RerankedRetriever(notes, reranker=Mine(), top_k=2).retrieve_sync("rain")) == ["c", "b"]
    by_length = RerankedRetriever(notes, reranker=lambda query, found: [-len(one.text) for one in found])
    assert ids(by_length.retrieve_sync("rain")) == ["a", "c", "b"]
    assert {one.text for one in ContextualCompressionRetriever(notes, compressor=Mine()).retrieve_sync("rain")} == {
        "Rain"
    }
    assert ContextualCompressionRetriever(notes, compressor=lambda query, text: " ").retrieve_sync("rain") == []


@pytest.mark.parametrize("answer", [[1.0], [1.0, 2.0, float("nan")], "123", None, [1, 2, "x"]])
def test_wrong_scores_break_the_contract(answer):
    wrong = RerankedRetriever(Bm25Retriever(documents()), reranker=lambda query, found: answer)
    with pytest.raises(ContractError, match="a list of 3 finite numbers"):
        wrong.retrieve_sync("rain")


def test_what_ones_own_parts_raise_comes_out():
    def broken(query, other):
        raise LookupError("no")

    notes = Bm25Retriever(documents())
    for search in (
        RerankedRetriever(notes, reranker=broken),
        ContextualCompressionRetriever(notes, compressor=broken),
    ):
        with pytest.raises(LookupError, match="no"):
            search.retrieve_sync("rain")
    with pytest.raises(ContractError, match="a str, or None"):
        ContextualCompressionRetriever(notes, compressor=lambda query, text: 3).retrieve_sync("rain")
    with pytest.raises(ConfigError, match="reranker"):
        RerankedRetriever(notes, reranker=3)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="give one of them"):
        RerankedRetriever(notes, embedder="mock:8", reranker=broken)
    with pytest.raises(ConfigError, match="give one of them"):
        ContextualCompressionRetriever(notes, compressor=broken, language="english")


def test_a_question_has_its_own_conditions_and_a_url_is_none():
    notes = Bm25Retriever(documents())
    fields = [Field("n", "number", "A number."), Field("tags", "list")]
    asked = '{"query": "rain", "match": "any", "conditions": [{"key": "n", "op": "le", "value": 0}, '
    asked += '{"key": "tags", "op": "contains", "value": "c"}]}'
    assert sorted(ids(SelfQueryRetriever(notes, ScriptedModel().text(asked), fields).retrieve_sync("?"))) == ["a", "c"]
    plain = '{"query": "rain https://a.b:80/n:3", "match": "all", "conditions": []}'
    found = SelfQueryRetriever(notes, ScriptedModel().text(plain), fields).retrieve_sync("rain https://a.b:80/n:3")
    assert len(found) == 3
    wrong = '{"query": "rain", "match": "all", "conditions": [{"key": "n", "op": "eq", "value": "3"}]}'
    with pytest.raises(InvalidOutputError, match='"n" is a number and was compared with a text'):
        SelfQueryRetriever(notes, ScriptedModel().text(wrong).text(wrong), fields).retrieve_sync("rain")
    with pytest.raises(ConfigError, match="is text, number, boolean or list"):
        SelfQueryRetriever(notes, ScriptedModel(), [Field("n", "integer")])  # type: ignore[arg-type]


def test_compression_goes_by_words_and_parents_are_given_once():
    notes = Bm25Retriever([Document("a", "Pi is 3.14 or so. Training. A rain fell.")])
    short = ContextualCompressionRetriever(notes)
    assert short.retrieve_sync("a rain")[0].text == "A rain fell."
    assert short.retrieve_sync("pi")[0].text == "Pi is 3.14 or so."
    pieces = Bm25Retriever([Document(f"p{n}", "rain " * n, {"of": "b"}) for n in range(1, 4)])
    found = ParentDocumentRetriever(pieces, documents(), key="of").retrieve_sync("rain")
    assert ids(found) == ["b"] and found[0].text == TEXTS["b"]


def test_mmr_and_time_reorder():
    notes = Bm25Retriever([*documents(), Document("e", "Rain in Oslo!")])
    assert set(ids(MmrRetriever(notes, "mock:256", 0.3, top_k=2).retrieve_sync("rain in oslo"))) != {"a", "e"}
    with pytest.raises(AgentError, match='document "b" has a list as "tags"'):
        TimeWeightedRetriever(Bm25Retriever(documents()), key="tags").retrieve_sync("wind")


def test_a_retriever_of_ones_own():
    @retriever("own")
    class Own:
        def retrieve(self, query):
            return [Document("x", query, {"n": 1}), {"id": "y", "text": query, "metadata": {"n": 2}}]

    assert "own" in guest.list_factories("retriever")
    own = retriever_from_factory("own")
    found = own.retrieve_sync("rain")
    assert ids(found) == ["x", "y"] and [one.score for one in found] == [1.0, 0.5]
    assert ids(own.retrieve_sync("rain", filter=Filter.gt("n", 1))) == ["y"]
    assert ids(own.retrieve_sync("rain", top_k=1)) == ["x"]
    with pytest.raises(ContractError, match="retrieve"):
        Retriever(lambda query: 7).retrieve_sync("rain")

    def fails(query):
        raise RuntimeError("no index")

    with pytest.raises(RuntimeError, match="no index"):
        Retriever(fails).retrieve_sync("rain")


def test_a_retriever_is_a_step_and_a_tool():
    notes = Bm25Retriever(documents())
    pipeline = Pipeline.from_(notes.as_callable()).build()
    assert pipeline.call_sync("oslo")[0]["id"] == "a"
    assert pipeline.call_sync({"text": "rain", "top_k": 1})[0]["id"] == "b"
    search = notes.as_tool("search_notes", "Looks for notes.", top_k=1)
    model = ScriptedModel().tool_calls(("search_notes", {"query": "frogs"})).text("There are frogs.")
    result = Agent(model, tools=[search]).run_sync("What rains?")
    assert result.output == "There are frogs."
    assert "A rain of frogs" in str(result.messages[2].to_dict())


def test_building_and_searching_hold_no_lock():
    many = [Document(str(at), f"w{at % 97} w{at % 1013} rain " * 20) for at in range(20_000)]
    done = threading.Event()

    def build():
        Bm25Retriever(many).retrieve_sync("rain w5")
        done.set()

    thread = threading.Thread(target=build)
    longest, last = 0.0, time.perf_counter()
    thread.start()
    while not done.is_set():
        time.sleep(0.001)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    thread.join()
    assert longest < 0.25
