"""The closed list of what can go wrong."""

__all__ = ["kinds", "retryable"]

def kinds() -> list[str]:
    """Every kind of error, in snake case."""

def retryable(kind: str) -> bool:
    """Whether the same call may succeed if it is made again later."""
