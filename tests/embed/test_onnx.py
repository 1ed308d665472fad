"""A real model in this process: all-MiniLM-L6-v2, and tiny ones."""

import asyncio
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from atomr_agents import Document, Embedder, HybridIndex
from atomr_agents.embed import OnnxEmbedder
from atomr_agents.errors import ConfigError, NotFoundError, UnsupportedFormatError

# The first test makes the model.
pytestmark = pytest.mark.timeout(300)

TINY = Path(__file__).resolve().parents[2] / "crates" / "embed-onnx" / "tests" / "data"

TEXTS = [
    "The cat sits outside",
    "A man is playing guitar",
    "The new movie is awesome",
    "The new film is so great, I have seen it three times already and would gladly pay for a fourth ticket",
    "",
    "né ☔ 雨",
    "rain " * 400,
]


@pytest.fixture(scope="module")
def embedder(minilm):
    return OnnxEmbedder(minilm)


def by_numpy(folder, models, text, max_tokens=256):
    """The vector of a text by another path: the tokenizer of Hugging Face and the forward pass of BERT in numpy."""
    weights = models.safetensors(folder / "model.safetensors")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    ids = tokenizer.encode(text).ids

    def norm(x, name):
        mean, deviation = x.mean(-1, keepdims=True), np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        return (x - mean) / deviation * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def dense(x, name):
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def heads(x):
        return x.reshape(len(ids), 12, 32).transpose(1, 0, 2)

    at = "embeddings"
    x = weights[f"{at}.word_embeddings.weight"][ids] + weights[f"{at}.token_type_embeddings.weight"][0]
    x = norm(x + weights[f"{at}.position_embeddings.weight"][: len(ids)], f"{at}.LayerNorm")
    for layer in range(6):
        at = f"encoder.layer.{layer}"
        query, key, value = (heads(dense(x, f"{at}.attention.self.{name}")) for name in ("query", "key", "value"))
        scores = query @ key.transpose(0, 2, 1) / math.sqrt(32)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (scores / scores.sum(-1, keepdims=True)) @ value
        mixed = mixed.transpose(1, 0, 2).reshape(len(ids), 384)
        x = norm(dense(mixed, f"{at}.attention.output.dense") + x, f"{at}.attention.output.LayerNorm")
        wide = dense(x, f"{at}.intermediate.dense")
        wide = wide * 0.5 * (1 + np.vectorize(math.erf)(wide / math.sqrt(2)))
        x = norm(dense(wide, f"{at}.output.dense") + x, f"{at}.output.LayerNorm")
    mean = x.mean(0)
    return mean / np.linalg.norm(mean)


async def test_vectors_are_those_of_an_independent_computation(embedder, minilm, models):
    made = np.asarray(await embedder.embed_table(TEXTS))
    assert made.shape == (len(TEXTS), 384) and embedder.dim == 384
    for text, vector in zip(TEXTS, made, strict=True):
        assert np.abs(vector - by_numpy(minilm, models, text)).max() < 1e-4, text[:20]
        assert np.abs(np.asarray(await embedder.embed(text)) - vector).max() < 1e-4


async def test_meaning_is_nearness(embedder):
    # The similarities that the model's authors print for these sentences.
    known = [
        ("The new movie is awesome", "The new movie is so great", 0.8939),
        ("The cat sits outside", "The dog plays in the garden", 0.2838),
        ("A man is playing guitar", "A woman watches TV", -0.0327),
    ]
    for one, other, similarity in known:
        a, b = await embedder.embed_batch([one, other])
        assert np.dot(a, b) == pytest.approx(similarity, abs=0.002)


async def test_a_folder_says_what_its_model_reads(embedder, minilm):
    # 256 tokens by sentence_bert_config.json; the tokenizer by itself would cut at 128.
    long = "rain " * 200
    beginning = OnnxEmbedder(minilm / "model.onnx", tokenizer=minilm / "tokenizer.json")
    a, b = await embedder.embed(long + "taxes"), await embedder.embed(long)
    assert max(abs(x - y) for x, y in zip(a, b, strict=True)) > 1e-3
    a, b = await beginning.embed(long + "taxes"), await beginning.embed(long)
    assert a == b
    assert embedder.model.startswith("onnx:") and embedder.model != beginning.model


async def test_it_goes_where_an_embedder_goes(embedder):
    index = HybridIndex(embedder)
    texts = ["The plant needs water twice a week", "Invoices are paid within thirty days"]
    await index.add([Document(text, text) for text in texts])
    [found] = await index.retrieve("How often do I have to pour the flowers?", top_k=1)
    assert "plant" in found.text
    assert Embedder(embedder).model == embedder.batched(max_texts=1).model == embedder.model


async def test_the_loop_runs_on_while_a_model_works(embedder):
    turns = 0

    async def turn():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.ensure_future(turn())
    await embedder.embed_batch(["rain in Oslo and wind in Bergen " * 20] * 8)
    task.cancel()
    assert turns > 10


async def test_a_call_that_is_cancelled_leaves_the_model_usable(embedder):
    work = asyncio.ensure_future(embedder.embed_batch(["rain in Oslo " * 80] * 64))
    await asyncio.sleep(0.05)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert len(await embedder.embed("rain")) == 384


def test_settings_that_make_no_sense_are_refused(minilm, tmp_path):
    for settings in ({"threads": 0}, {"max_tokens": 0}, {"max_tokens": 2}, {"pooling": "max"}, {"batch_tokens": 0}):
        with pytest.raises(ConfigError, match=next(iter(settings))):
            OnnxEmbedder(minilm, **settings)
    with pytest.raises(ConfigError, match="vectors of 384 numbers, not of 768"):
        OnnxEmbedder(minilm, dimensions=768)
    with pytest.raises(NotFoundError, match=r"model\.onnx"):
        OnnxEmbedder(tmp_path)
    with pytest.raises(NotFoundError, match="nowhere"):
        OnnxEmbedder(minilm / "model.onnx", tokenizer=tmp_path / "nowhere.json")
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(UnsupportedFormatError, match="no model that can be run"):
        OnnxEmbedder(tmp_path / "model.onnx", tokenizer=minilm / "tokenizer.json")
    with pytest.raises(UnsupportedFormatError, match="tokenizer"):
        OnnxEmbedder(minilm / "model.onnx", tokenizer=minilm / "vocab.txt")


@pytest.mark.parametrize(("model", "says"), [("image.onnx", "pixel_values"), ("logits.onnx", "last_hidden_state")])
def test_a_model_of_something_else_is_refused(model, says):
    with pytest.raises(UnsupportedFormatError, match=says):
        OnnxEmbedder(TINY / model, tokenizer=TINY / "tokenizer.json")


def alone(code, **environment):
    """A process of its own: a process keeps the first runtime that it loads."""
    code = f"from atomr_agents.embed import OnnxEmbedder\nDATA = {str(TINY)!r}\n{code}"
    variables = {"PATH": "/usr/bin:/bin", **environment}
    return subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=False)


LOAD = "OnnxEmbedder(DATA + '/tiny.onnx', tokenizer=DATA + '/tokenizer.json'"


def test_without_a_runtime_the_error_says_how_to_get_one(tmp_path):
    gone = f"""
import sys
sys.modules["onnxruntime"] = None
from atomr_agents.errors import ConfigError
for settings in ({{}}, {{"runtime": "/nowhere/lib.so"}}, {{"runtime": {str(tmp_path / "text.so")!r}}}):
    try:
        {LOAD}, **settings)
    except ConfigError as error:
        assert "pip install onnxruntime" in str(error) and "ORT_DYLIB_PATH" in str(error), error
    else:
        raise SystemExit("it was loaded")
"""
    (tmp_path / "text.so").write_text("no library")
    done = alone(gone)
    assert done.returncode == 0, done.stderr
    # A library of something else.
    import _sqlite3

    other = alone(f"{LOAD}, runtime={_sqlite3.__file__!r})")
    assert "ConfigError" in other.stderr and "it is no ONNX Runtime" in other.stderr, other.stderr
    named = alone(f"{LOAD})", ORT_DYLIB_PATH="/nowhere/libonnxruntime.so")
    assert "ConfigError: no ONNX Runtime at /nowhere/libonnxruntime.so" in named.stderr


def test_the_installed_runtime_is_found_without_importing_it(tmp_path):
    done = alone(f"import sys\nmade = {LOAD})\nassert made.dim == 8 and 'onnxruntime' not in sys.modules")
    assert done.returncode == 0, done.stderr
    # Whoever imports it besides has two runtimes, which leave each other alone.
    both = alone(f"import onnxruntime\nmade = {LOAD})\nprint(len(made.embed_sync('rain')), onnxruntime.get_device())")
    assert both.stdout.split() == ["8", "CPU"], both.stderr


def test_a_second_runtime_is_refused(embedder, minilm):
    with pytest.raises(ConfigError, match="already"):
        OnnxEmbedder(minilm, runtime="/nowhere/libonnxruntime.so")
