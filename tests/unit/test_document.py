"""The one class of documents: what it keeps, what it refuses, and that it can be copied and sent."""

import copy
import pickle

import pytest

from atomr_agents import Document, Span
from atomr_agents.errors import ConfigError


def test_a_document_has_what_it_was_given() -> None:
    span = Span("a", bytes=(3, 6), chars=(3, 5))
    document = Document("a#1", "né", {"year": 2026, "tags": ["x"]}, score=0.5, span=span)
    assert (document.id, document.text, document.score) == ("a#1", "né", 0.5)
    assert document.metadata == {"year": 2026, "tags": ["x"]}
    assert document.span is not None and (document.span.bytes, document.span.chars) == ((3, 6), (3, 5))
    assert repr(document) == 'Document("a#1", "né", score=0.5)'


def test_the_metadata_is_a_copy() -> None:
    document = Document("a", "b", {"n": 1})
    document.metadata["n"] = 2
    assert document.metadata == {"n": 1}


@pytest.mark.parametrize(
    "document", [Document("a", "b"), Document("", "", {"n": None}, score=-1.0, span=Span("s", (0, 1), (0, 1)))]
)
def test_a_document_is_copied_and_pickled(document: Document) -> None:
    assert copy.deepcopy(document) == document == pickle.loads(pickle.dumps(document))
    assert Document.from_dict(document.to_dict()) == document


def test_what_is_no_document_is_refused() -> None:
    with pytest.raises(ConfigError, match="no document.*text"):
        Document.from_dict({"id": "a"})
    with pytest.raises(ConfigError, match="NaN"):
        Document("a", "b", score=float("nan"))
    with pytest.raises(ConfigError, match="starts or later"):
        Span("a", (2, 1), (0, 0))
    with pytest.raises((TypeError, ValueError)):
        Document("a", "b", {"when": object()})
