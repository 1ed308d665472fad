"""JSON that arrives in pieces."""

from typing import Any, Literal, final

__all__ = ["Change", "PartialJson"]

@final
class Change:
    """Something that became known of a document."""

    @property
    def kind(self) -> Literal["started", "grew", "scalar", "finished"]:
        """`started`: an object, an array or a string began; `grew`: a string has one more piece; `scalar`: a number,
        `True`, `False` or `None` is known; `finished`: what had started is complete."""
    @property
    def path(self) -> tuple[str | int, ...]:
        """The keys and indexes that lead to the value from the document, which is `()`."""
    @property
    def shape(self) -> Literal["object", "array", "string"] | None:
        """What started; `None` for the other kinds."""
    @property
    def piece(self) -> str:
        """What a string grew by, escapes resolved; empty for the other kinds."""
    @property
    def value(self) -> Any:
        """The scalar, or the whole of what has finished; `None` for the other kinds."""

@final
class PartialJson:
    """Decodes one JSON document while it is being written.

    A feed costs what its own text costs, however long the document is by then. It is for one thread at a time.
    """

    def __new__(cls, *, max_depth: int = 127, max_bytes: int = 1048576) -> PartialJson:
        """`max_depth` objects and arrays may lie in each other (at most 512); the text may have `max_bytes`."""
    def feed(self, text: str) -> list[Change]:
        """Takes the next piece of the text; answers what became known, in the order of the text.

        Raises `PartialJsonError` for what is no JSON or breaks a limit; what came before stays known.
        """
    def update(self, text: str) -> None:
        """As `feed`, where only the value is of interest: no list of changes is made."""
    @property
    def value(self) -> Any:
        """The document as far as it is known; `None` before its value began.

        It is live: the next feed goes on filling the same dicts and lists. Looking at it copies nothing but a string
        that is open.
        """
    def snapshot(self) -> Any:
        """`value`, with dicts and lists of its own."""
    @property
    def complete(self) -> bool:
        """Is the document whole? A number on its own is only after `finish`."""
    def finish(self) -> Any:
        """The text is at its end: the whole document. Raises `PartialJsonError`, `incomplete` where the text is cut."""
