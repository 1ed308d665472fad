"""The registry of objects written in Python."""

__all__ = ["clear_factories", "kinds", "list_factories", "methods", "register", "target"]

def kinds() -> list[str]:
    """Every kind of guest."""

def methods(kind: str) -> list[tuple[str, str, bool]]:
    """The methods of a kind: name, verb, whether it is required."""

def register(kind: str, key: str, target: object) -> None:
    """Checks the target against the contract of its kind and keeps it under `key`."""

def target(kind: str, key: str) -> object:
    """What was registered; a class is there as its instance. Raises KeyError."""

def list_factories(kind: str) -> list[str]: ...
def clear_factories() -> int: ...
