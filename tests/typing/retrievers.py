"""Retrievers as a type checker sees them."""

from typing import assert_type

from atomr_agents import Agent, Bm25Retriever, Document, Filter, HybridIndex, retriever
from atomr_agents.retriever import (
    EnsembleRetriever,
    Field,
    ParentDocumentRetriever,
    Retriever,
    SelfQueryRetriever,
    fuse,
    retriever_from_factory,
)


@retriever("wiki")
async def wiki(query: str) -> list[Document]:
    return [Document("a", query)]


async def main() -> None:
    notes = Bm25Retriever([Document("a", "rain")], language="english")
    assert_type(
        notes.retrieve_sync("rain", filter=Filter.ge("year", 2020) & {"op": "exists", "key": "x"}), list[Document]
    )
    assert_type(await notes.retrieve("rain", top_k=3), list[Document])
    assert_type(notes.remove("a"), int)
    assert_type(notes.get("a"), Document | None)
    both = HybridIndex("mock:64")
    await both.add([Document("a", "rain")])
    assert_type(await both.remove("a"), int)
    assert_type(HybridIndex.load("x", "mock:64"), HybridIndex)
    all_of_them = EnsembleRetriever([notes, both, wiki], weights=[1, 2, 3])
    assert_type(await SelfQueryRetriever(all_of_them, "openai:x", [Field("n", "number")]).retrieve("q"), list[Document])
    assert_type(await ParentDocumentRetriever(notes, both).retrieve("q"), list[Document])
    assert_type(retriever_from_factory("wiki"), Retriever)
    assert_type(fuse([[Document("a", "")]]), list[Document])
    Agent("openai:x", tools=[notes.as_tool("search", "Looks for notes.")])
