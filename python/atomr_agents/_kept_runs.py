"""The runs of a store."""

from __future__ import annotations

from ._native.state import NativeRuns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
    from typing import Any

    from ._native.core import Event
    from ._native.state import PruneReport, RunCheck, RunInfo, RunPage, Store


class Runs:
    """The runs of a store: what is there, what happened in them, what becomes of them.

    Every coroutine has a twin (`list_sync`) that waits instead; inside of a running event loop those are refused.
    """

    __slots__ = ("_native",)

    def __init__(self, store: object) -> None:
        self._native = NativeRuns(store)

    @property
    def store(self) -> Store:
        """Where they are."""
        return self._native.store

    async def list(
        self,
        *,
        status: str | Sequence[str] = (),
        kind: str | None = None,
        target: str | None = None,
        labels: Mapping[str, str] | None = None,
        limit: int = 100,
        after: tuple[int, str] | None = None,
    ) -> RunPage:
        """Runs, the newest first.

        Args:
            status: Only these: `running`, `suspended`, `paused`, `finished`, `failed`, `cancelled`, `outcome_unknown`.
            kind: Only what runs as this: `agent`, `workflow`, `harness`, `script`.
            target: Only those of this agent, graph or harness.
            labels: Only those that have all of these.
            limit: At most so many.
            after: Where the page begins: `RunPage.next` of the one before.
        """
        return await self._native.list(_asked(status, kind, target, labels, limit, after))

    def list_sync(
        self,
        *,
        status: str | Sequence[str] = (),
        kind: str | None = None,
        target: str | None = None,
        labels: Mapping[str, str] | None = None,
        limit: int = 100,
        after: tuple[int, str] | None = None,
    ) -> RunPage:
        """`list`, waited for."""
        return self._native.list_sync(_asked(status, kind, target, labels, limit, after))

    async def show(self, run: str) -> RunInfo:
        """What is known of a run.

        Raises:
            ConflictError: There is none of that name.
        """
        return await self._native.get(run)

    def show_sync(self, run: str) -> RunInfo:
        """`show`, waited for."""
        return self._native.get_sync(run)

    async def events(self, run: str, from_seq: int = 0) -> AsyncIterator[Event]:
        """What was told in a run, from a number on, up to what is written by now."""
        events = self._native.events(run, from_seq)
        while page := await events.page():
            for event in page:
                yield event

    def events_sync(self, run: str, from_seq: int = 0) -> Iterator[Event]:
        """`events`, waited for."""
        events = self._native.events(run, from_seq)
        while page := events.page_sync():
            yield from page

    async def fork(
        self,
        run: str,
        *,
        at_step: int | None = None,
        at_seq: int | None = None,
        name: str = "",
        edits: Mapping[str, Any] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> str:
        """Begins another run where this one was, and gives its name. What is shared is not stored again.

        Args:
            run: The run that it comes from. It does not change.
            at_step: After the checkpoint of this step; with neither, at the end.
            at_seq: After the commit that has the event of this number.
            name: Its name; a fresh id if empty.
            edits: Channels that have another value in it.
            labels: Your own words about it.

        Raises:
            ConflictError: There is no such run, step or event; or a run of the new name exists.
        """
        return await self._native.fork(run, (at_step, at_seq), name, dict(edits or {}), dict(labels or {}))

    def fork_sync(
        self,
        run: str,
        *,
        at_step: int | None = None,
        at_seq: int | None = None,
        name: str = "",
        edits: Mapping[str, Any] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> str:
        """`fork`, waited for."""
        return self._native.fork_sync(run, (at_step, at_seq), name, dict(edits or {}), dict(labels or {}))

    async def prune(self, run: str, keep: int = 1) -> PruneReport:
        """Forgets the history of a run but for its last `keep` checkpoints, as far as no fork needs it."""
        return await self._native.prune(run, keep)

    def prune_sync(self, run: str, keep: int = 1) -> PruneReport:
        """`prune`, waited for."""
        return self._native.prune_sync(run, keep)

    async def remove(self, run: str) -> None:
        """Removes a run.

        Raises:
            ConflictError: Others were forked from it, or there is none.
            LockedError: Somebody writes it.
        """
        await self._native.remove(run)

    def remove_sync(self, run: str) -> None:
        """`remove`, waited for."""
        self._native.remove_sync(run)

    async def resolve(self, run: str, key: str, result: Any = None, *, error: str | None = None) -> None:
        """Says what a person found out about an effect of which nobody knew whether it happened: the run can go on.

        Args:
            run: The run, `run_id` of the `OutcomeUnknownError`.
            key: The effect, `key` of it; also the open effects of `verify`.
            result: What it gave, or `Reconciled.DID_NOT_HAPPEN`: then it is done.
            error: That it failed, and why.

        Raises:
            ConflictError: Nobody asks about that effect.
            LockedError: Somebody works on the run.
        """
        await self._native.resolve(run, key, (result, error))

    def resolve_sync(self, run: str, key: str, result: Any = None, *, error: str | None = None) -> None:
        """`resolve`, waited for."""
        self._native.resolve_sync(run, key, (result, error))

    async def verify(self, run: str) -> RunCheck:
        """Reads everything that is kept of a run, and tells what is not as it was written."""
        return await self._native.verify(run)

    def verify_sync(self, run: str) -> RunCheck:
        """`verify`, waited for."""
        return self._native.verify_sync(run)

    def __repr__(self) -> str:
        return f"<Runs of a {self.store.kind} store>"


def runs(store: object) -> Runs:
    """The runs of a store.

    Args:
        store: A `Store`, a checkpointer, an object made with `@journal`, a path, or text such as `sqlite:runs.db`.

    Example:
        >>> from atomr_agents.state import in_memory_journal
        >>> journal = in_memory_journal("r1", target="demo")
        >>> [run.name for run in runs(journal.store).list_sync(status="running")]
        ['r1']
    """
    return Runs(store)


def _asked(
    status: str | Sequence[str],
    kind: str | None,
    target: str | None,
    labels: Mapping[str, str] | None,
    limit: int,
    after: tuple[int, str] | None,
) -> dict[str, Any]:
    wanted = [status] if isinstance(status, str) else list(status)
    labels = dict(labels or {})
    return {"status": wanted, "kind": kind, "target": target, "labels": labels, "limit": limit, "after": after}
