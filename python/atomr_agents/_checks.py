"""Settings are looked at before the core gets them, so that the error names the one that is wrong and says what to
write. Values are shown only where they are numbers: a text may be a secret."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, NoReturn, TypeAlias

    from .errors import ConfigError

    Check: TypeAlias = Callable[[str, Any], None]

# What the core can count and wait for; far beyond what anybody means.
MOST = 2**31 - 1


def fail(name: str, wanted: str, value: object) -> NoReturn:
    """Raises the error that says what a setting must be."""
    raise wrong(name, wanted, value)


def wrong(name: str, wanted: str, value: object) -> ConfigError:
    """The error that says what a setting must be."""
    from .errors import ConfigError

    shown = repr(value) if value is None or isinstance(value, (bool, int, float)) else type(value).__name__
    return ConfigError(f"{name} must be {wanted}, not {shown}")


def text(name: str, value: Any) -> None:
    """Text, perhaps empty."""
    if not isinstance(value, str):
        fail(name, "text", value)


def filled(name: str, value: Any) -> None:
    """Text with something in it."""
    if not isinstance(value, str):
        fail(name, "text", value)
    if not value.strip():
        from .errors import ConfigError

        raise ConfigError(f"{name} is empty; leave it away, or write what it shall be")


def flag(name: str, value: Any) -> None:
    """True or False."""
    if not isinstance(value, bool):
        fail(name, "True or False", value)


def whole(least: int) -> Check:
    """A whole number that is not smaller than `least`."""

    def check(name: str, value: Any) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= MOST:
            fail(name, f"a whole number from {least} to {MOST}", value)

    return check


def number(least: float | None = None, most: float | None = None) -> Check:
    """A finite number within these limits."""

    def check(name: str, value: Any) -> None:
        fits = isinstance(value, (int, float)) and not isinstance(value, bool) and value - value == 0
        if not fits or (least is not None and value < least) or (most is not None and value > most):
            limits = (
                "" if least is None else f" of at least {least:g}" if most is None else f" from {least:g} to {most:g}"
            )
            fail(name, f"a finite number{limits}", value)

    return check


def seconds(name: str, value: Any) -> None:
    """A time that is long enough to be one."""
    fits = isinstance(value, (int, float)) and not isinstance(value, bool)
    # Not a number is in no order with anything.
    if not fits or not 1e-9 <= value <= MOST:
        fail(name, "a positive number of seconds", value)


def integer(name: str, value: Any) -> None:
    """A whole number of 64 bits."""
    if not isinstance(value, int) or isinstance(value, bool) or not -(2**63) <= value < 2**63:
        fail(name, "a whole number of 64 bits", value)


def dictionary(name: str, value: Any) -> None:
    """A dict."""
    if not isinstance(value, dict):
        fail(name, "a dict", value)


def one_of(*words: str) -> Check:
    """One of these words."""

    def check(name: str, value: Any) -> None:
        if value not in words:
            from .errors import ConfigError

            raise ConfigError(f"{name} must be {', '.join(words[:-1])} or {words[-1]}, not {value!r}")

    return check


def optional(check: Check) -> Check:
    """None, or what the other check takes."""
    return lambda name, value: None if value is None else check(name, value)


def items(name: str, wanted: str, value: Any) -> Sequence[Any]:
    """What a list or a tuple holds."""
    if not isinstance(value, (list, tuple)):
        fail(name, wanted, value)
    return value  # pyright: ignore[reportUnknownVariableType]


def every(checks: dict[str, Check], values: dict[str, Any]) -> None:
    """Looks at each value that has a check."""
    for name, check in checks.items():
        check(name, values[name])
