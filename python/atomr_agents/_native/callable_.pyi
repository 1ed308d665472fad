"""Everything is a callable."""

from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, final

__all__ = [
    "Callable",
    "Pipeline",
    "branch",
    "fan_out",
    "passthrough",
    "with_config",
    "with_fallbacks",
    "with_retry",
    "with_timeout",
]

@final
class Callable:
    """Something that takes a JSON value and gives one."""

    @staticmethod
    def wrap(target: object, label: str, takes_context: bool) -> Callable: ...
    @staticmethod
    def identity() -> Callable: ...
    @property
    def label(self) -> str: ...
    def call(self, input: Any = None) -> Coroutine[Any, Any, Any]: ...

@final
class Pipeline:
    """Steps one after the other. Every method gives a new pipeline."""

    @staticmethod
    def from_(first: Callable) -> Pipeline: ...
    def then(self, step: Callable) -> Pipeline: ...
    def assign(self, key: str, step: Callable) -> Pipeline: ...
    def passthrough(self) -> Pipeline: ...
    def fan_out_with(self, branches: Mapping[str, Callable]) -> Pipeline: ...
    def build(self) -> Callable: ...

def branch(predicate: Callable, if_true: Callable, if_false: Callable) -> Callable: ...
def fan_out(branches: Mapping[str, Callable]) -> Callable: ...
def passthrough() -> Callable: ...
def with_config(
    inner: Callable,
    run_name: str | None = None,
    tags: Sequence[str] | None = None,
    metadata: dict[str, Any] | None = None,
) -> Callable: ...
def with_fallbacks(primary: Callable, alternates: Sequence[Callable]) -> Callable: ...
def with_retry(
    inner: Callable,
    max_attempts: int = 3,
    initial_backoff_ms: int = 50,
    backoff_multiplier: float = 2.0,
    max_backoff_ms: int = 5000,
) -> Callable: ...
def with_timeout(inner: Callable, milliseconds: int) -> Callable: ...
