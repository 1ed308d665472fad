"""Embedders of models in this process. `atomr_agents.embed` shows them."""

from __future__ import annotations

from ._embedders import Embedder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import PathLike
    from typing import Literal


class OnnxEmbedder(Embedder):
    """An embedder of an ONNX model that runs in this process, as they are published for sentence embeddings.

    The model runs on an ONNX Runtime that is installed: `pip install onnxruntime` brings one, which is found without
    being imported. The environment variable `ORT_DYLIB_PATH`, or `runtime`, names another one. All models of a process
    share it.

    Args:
        path: A folder with `model.onnx` (or `onnx/model.onnx`) and `tokenizer.json`, and perhaps the settings of
            `sentence-transformers`; or the model's file, with `tokenizer`.
        tokenizer: The model's `tokenizer.json`, where `path` is a file.
        pooling: How the vectors of a text's tokens become one: `"mean"`, or `"cls"` for the first token's. Without
            it as the folder says; else the output `sentence_embedding` is taken if there is one, and the mean if not.
        normalize: Whether vectors are scaled to length 1. Without it as the folder says; else they are.
        max_tokens: Of a text with more tokens only the beginning is read. Without it as folder or tokenizer say, else
            512.
        dimensions: How many numbers a vector must have; a model that makes others is refused.
        batch_tokens: How many tokens are computed at once, 4,096 without another word. More need more memory.
        threads: On how many threads one computation runs; on all cores without it.
        runtime: The library of the ONNX Runtime.
        name: What `model` says; without it `onnx:` and a hash of everything that changes a vector.

    Raises:
        ConfigError: no ONNX Runtime is there, it is too old, or a setting makes no sense.
        NotFoundError: there is no such model or tokenizer.
        UnsupportedFormatError: a file is no model or no tokenizer, or the model has other inputs or outputs.

    Example:
        >>> embedder = OnnxEmbedder("models/all-MiniLM-L6-v2")  # doctest: +SKIP
        >>> len(embedder.embed_sync("rain in Oslo"))  # doctest: +SKIP
        384
    """

    __slots__ = ()

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        tokenizer: str | PathLike[str] | None = None,
        pooling: Literal["mean", "cls"] | None = None,
        normalize: bool | None = None,
        max_tokens: int | None = None,
        dimensions: int | None = None,
        batch_tokens: int | None = None,
        threads: int | None = None,
        runtime: str | PathLike[str] | None = None,
        name: str | None = None,
    ) -> None:
        from . import _checks
        from ._native.embed import NativeEmbedder, NativeOnnxSetup

        whole = _checks.optional(_checks.whole(1))
        whole("max_tokens", max_tokens)
        whole("dimensions", dimensions)
        whole("batch_tokens", batch_tokens)
        whole("threads", threads)
        setup = NativeOnnxSetup(
            path,
            tokenizer=tokenizer,
            pooling=pooling,
            normalize=normalize,
            max_tokens=max_tokens,
            dimensions=dimensions,
            batch_tokens=batch_tokens,
            threads=threads,
            runtime=runtime,
            usual_runtime=_installed(),
            name=name,
        )
        super().__init__(NativeEmbedder.onnx(setup))


def _installed() -> str | None:
    """The library in the package `onnxruntime`, if that is installed. The package itself is not imported: it would load
    a second runtime."""
    from importlib.util import find_spec
    from pathlib import Path

    spec = find_spec("onnxruntime")
    for folder in (spec and spec.submodule_search_locations) or ():
        for pattern in ("libonnxruntime.so*", "libonnxruntime.*dylib", "onnxruntime.dll"):
            for library in sorted((Path(folder) / "capi").glob(pattern)):
                return str(library)
    return None
