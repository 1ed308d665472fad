"""Runs that are kept: resumed by name, replayed, forked, and calls of which nobody knows whether they happened."""

import asyncio
import threading
from typing import Any

import pytest

from atomr_agents import Agent, RunContext, tool
from atomr_agents.agent import Durable
from atomr_agents.core import Message
from atomr_agents.errors import (
    ConfigError,
    ConflictError,
    GuestExitedError,
    IncompatibleError,
    OutcomeUnknownError,
    RunCancelledError,
)
from atomr_agents.state import Store, in_memory_store
from atomr_agents.testkit import ScriptedModel
from atomr_agents.tool import Reconciled


class World:
    """What tools did, by idempotency key."""

    def __init__(self) -> None:
        self.put: list[str] = []
        self.paid: list[str] = []
        self.dies = False

    def tools(self, reconcile: Any = None) -> list[Any]:
        @tool(name="put", effect="idempotent", version="1.2.0")
        def put(ctx: RunContext[Any], n: int) -> str:
            self.put.append(ctx.idempotency_key)
            return f"put {n}"

        @tool(name="pay", effect="once", reconcile=reconcile)
        async def pay(ctx: RunContext[Any], n: int) -> str:
            self.paid.append(ctx.idempotency_key)
            if self.dies:
                # It happened, and nothing says so: the run ends here.
                raise SystemExit
            return f"paid {n}"

        return [put, pay]


def script() -> ScriptedModel:
    calls = [("put", {"n": 1}), ("pay", {"n": 2}), ("put", {"n": 3})]
    return ScriptedModel().tool_calls(*calls).text("Done.").repeat()


def rest() -> ScriptedModel:
    """What is left to say once the calls are recorded."""
    return ScriptedModel().text("Done.")


def agent(store: Any, world: World, model: Any = None, **settings: Any) -> Agent[Any, Any]:
    tools = settings.pop("tools", None) or world.tools()
    return Agent(model or script(), instructions="Do it.", tools=tools, store=store, **settings)


async def test_a_run_is_kept_under_its_name_once_and_is_over_when_it_is_over():
    store, world = in_memory_store(), World()
    keeps = agent(store, world)
    result = await keeps.run("go", run_id="order-17")
    assert (result.output, result.run_id) == ("Done.", "order-17")
    with pytest.raises(ConflictError, match="order-17"):
        await keeps.run("go", run_id="order-17")
    with pytest.raises(ConflictError, match="finished"):
        await keeps.resume("order-17")
    with pytest.raises(ConflictError, match="no run named"):
        await keeps.resume("order-18")
    unnamed = await keeps.run("go")
    assert (await keeps.replay(unnamed.run_id)).divergence is None


async def test_a_run_that_failed_goes_on_in_its_middle_by_its_name():
    store, world = in_memory_store(), World()
    from atomr_agents.errors import ServerError

    broken = ScriptedModel().tool_calls(("put", {"n": 1}), ("pay", {"n": 2})).error("server_error", "down")
    with pytest.raises(ServerError):
        await agent(store, world, broken).run("go", run_id="r")
    assert (len(world.put), len(world.paid)) == (1, 1)
    result = await agent(store, world, ScriptedModel().text("Done.")).resume("r")
    assert (result.output, result.iterations, result.run_id) == ("Done.", 2, "r")
    assert (len(world.put), len(world.paid)) == (1, 1), "what is recorded is not done again"
    assert [message.role for message in result.messages] == ["user", "assistant", "tool", "assistant"]


async def stopped(store: Store, world: World) -> OutcomeUnknownError:
    """A run whose payment happened and was not recorded."""
    world.dies = True
    with pytest.raises(GuestExitedError):
        await agent(store, world).run("go", run_id="r")
    world.dies = False
    with pytest.raises(OutcomeUnknownError) as caught:
        await agent(store, world, rest()).resume("r")
    return caught.value


async def test_nobody_pays_twice_and_a_person_says_what_happened():
    store, world = in_memory_store(), World()
    error = await stopped(store, world)
    assert (error.run_id, error.key, error.tool) == ("r", "1:agent/1#1", "pay")
    assert len(world.paid) == 1
    asks = agent(store, world, rest())
    with pytest.raises(ConflictError, match="what is open is"):
        await asks.resolve("r", "1:agent/1#7", "x")
    with pytest.raises(ConfigError, match="step:path#index"):
        await asks.resolve("r", "nonsense", "x")
    await asks.resolve(error.run_id, error.key, "paid 2")
    result = await asks.resume("r")
    assert (result.output, len(world.paid)) == ("Done.", 1)
    assert [part["parts"][0]["text"] for part in result.messages[2].parts] == ["put 1", "paid 2", "put 3"]


async def test_what_did_not_happen_is_made_with_the_same_key():
    store, world = in_memory_store(), World()
    error = await stopped(store, world)
    await agent(store, world).resolve(error.run_id, error.key, Reconciled.DID_NOT_HAPPEN)
    assert (await agent(store, world, rest()).resume("r")).output == "Done."
    assert len(world.paid) == 2 and len(set(world.paid)) == 1


@pytest.mark.parametrize("waits", [False, True])
async def test_a_tool_finds_out_by_itself(waits: bool):
    store, world = in_memory_store(), World()
    await stopped(store, world)
    asked: list[tuple[str, dict[str, Any]]] = []

    def find(key: str, arguments: dict[str, Any]) -> str:
        asked.append((key, arguments))
        return "paid 2, says the bank"

    async def find_slowly(key: str, arguments: dict[str, Any]) -> str:
        await asyncio.sleep(0)
        return find(key, arguments)

    tools = world.tools(find_slowly if waits else find)
    result = await agent(store, world, rest(), tools=tools).resume("r")
    assert asked == [(world.paid[0], {"n": 2})]
    assert result.messages[2].parts[1]["parts"][0]["text"] == "paid 2, says the bank"


@pytest.mark.parametrize("says", [None, Reconciled.UNKNOWN])
async def test_a_tool_that_cannot_find_out_leaves_it_to_a_person(says: Any):
    store, world = in_memory_store(), World()
    await stopped(store, world)

    def finds(key: str, arguments: dict[str, Any]) -> Any:
        return says

    with pytest.raises(OutcomeUnknownError):
        await agent(store, world, rest(), tools=world.tools(finds)).resume("r")
    assert len(world.paid) == 1


async def test_approvals_are_found_and_given_by_name():
    store = in_memory_store()
    paid: list[int] = []

    @tool(name="pay", requires_approval=True, effect="once")
    def pay(n: int) -> str:
        paid.append(n)
        return f"paid {n}"

    def fresh(model: ScriptedModel) -> Agent[Any, Any]:
        return Agent(model, tools=[pay], store=store)

    waiting = (await fresh(ScriptedModel().tool_calls(("pay", {"n": 5}))).run("go", run_id="r")).pending
    assert waiting is not None and waiting.run_id == "r"
    found = (await fresh(rest()).resume("r")).pending
    assert found is not None and found.calls == waiting.calls
    result = await fresh(rest()).resume("r", found.calls[0].approve())
    assert (result.output, paid) == ("Done.", [5])


async def test_a_replay_names_what_is_another_one_and_another_version_is_refused():
    store, world = in_memory_store(), World()
    result = await agent(store, world).run("go", run_id="r")
    replay = await agent(store, world, ScriptedModel()).replay("r")
    assert (replay.divergence, replay.status, replay.model_calls, replay.tool_calls) == (None, "finished", 2, 3)
    assert replay.messages == result.messages
    other = Agent(ScriptedModel(), instructions="Do it well.", tools=world.tools(), store=store)
    found = (await other.replay("r")).divergence
    assert found is not None and (found.at, found.what) == ("1:agent#1", "instructions")
    await agent(store, world).fork("r", name="r2")
    with pytest.raises(IncompatibleError, match="instructions is another one"):
        await other.resume("r2")
    accepts = Durable(store, on_change="accept")
    assert (await agent(accepts, world).resume("r2")).output == "Done."


async def test_a_fork_goes_on_with_something_else_said():
    store, world = in_memory_store(), World()
    result = await agent(store, world).run("go", run_id="r")
    said = [*result.messages, Message.user("And then?")]
    name = await agent(store, world).fork("r", name="r2", messages=said, instructions="Be short.")
    model = ScriptedModel().text("Nothing.")
    forked = await agent(store, world, model).resume(name)
    assert (forked.output, len(forked.messages)) == ("Nothing.", 6)
    assert model.requests[0]["messages"][0]["parts"][0]["text"] == "Be short."
    with pytest.raises(ConflictError, match="the last one is"):
        await agent(store, world).fork("r", at=99_999)


async def test_a_cancelled_run_waits_for_a_payment_and_says_that_it_was_cancelled():
    store, begun, go = in_memory_store(), asyncio.Event(), asyncio.Event()
    paid: list[int] = []

    @tool(name="pay", effect="once")
    async def pay() -> str:
        begun.set()
        await go.wait()
        paid.append(1)
        return "paid"

    def fresh(model: ScriptedModel) -> Agent[Any, Any]:
        return Agent(model, tools=[pay], store=store)

    running = asyncio.ensure_future(fresh(ScriptedModel().tool_calls(("pay", {}))).run("go", run_id="r"))
    await begun.wait()
    running.cancel()
    await asyncio.sleep(0)
    go.set()
    with pytest.raises((asyncio.CancelledError, RunCancelledError)):
        await running
    assert paid == [1]
    result = await fresh(ScriptedModel().text("Done.")).resume("r")
    assert (result.output, paid) == ("Done.", [1]), "its outcome is known"


async def test_events_of_all_lives_of_a_run_are_one_stream():
    store, world = in_memory_store(), World()
    numbers: list[int] = []
    kinds: list[str] = []
    with pytest.raises(Exception, match="down"):
        async for event in agent(store, world, ScriptedModel().error("server_error", "down")).stream("go", run_id="r"):
            numbers.append(event.seq)
            kinds.append(event.kind)
    async for event in agent(store, world, rest()).resume_stream("r"):
        numbers.append(event.seq)
        kinds.append(event.kind)
    assert numbers == sorted(numbers) and kinds[-1] == "run_finished"


def test_an_idempotency_key_is_there_without_a_store_and_the_same_for_retries():
    keys: list[str] = []

    @tool(retries=2)
    def put(ctx: RunContext[Any], n: int) -> str:
        keys.append(ctx.idempotency_key)
        if len(keys) < 3:
            raise OSError("busy")
        return f"put {n}"

    model = ScriptedModel().tool_calls(("put", {"n": 1}), ("put", {"n": 2})).text("Done.")
    Agent(model, tools=[put], max_parallel_tools=1).run_sync("go")
    assert len(keys) == 4 and len(set(keys[:3])) == 1 and keys[3] != keys[0]


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"effect": "twice"}, "effect"),
        ({"effect": "once", "retries": 1}, "not called again"),
        ({"effect": "once", "reconcile": 7}, "reconcile"),
    ],
)
def test_what_makes_no_sense_of_a_tool_is_refused(setting: dict[str, Any], says: str):
    with pytest.raises(ConfigError, match=says):
        tool(**setting)(lambda: "x")


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"when": "later"}, "when"),
        ({"durability": "half"}, "durability"),
        ({"on_change": "x"}, "on_change"),
        ({"lease": 0}, "lease"),
    ],
)
def test_what_makes_no_sense_of_keeping_runs_is_refused(setting: dict[str, Any], says: str):
    with pytest.raises(ConfigError, match=says):
        Durable(in_memory_store(), **setting)


def test_an_agent_without_a_store_keeps_nothing():
    plain = Agent(ScriptedModel().text("Rain."))
    with pytest.raises(ConfigError, match="store"):
        plain.run_sync("Oslo?", run_id="r")
    with pytest.raises(ConfigError, match="store"):
        asyncio.run(plain.replay("r"))
    with pytest.raises(ConfigError, match="a store is"):
        Agent(ScriptedModel(), store=7)


def test_a_run_is_kept_from_a_thread_of_its_own_loop():
    store = in_memory_store()
    results: list[str] = []

    def work(name: str) -> None:
        results.append(Agent(ScriptedModel().text(name), store=store).run_sync("go", run_id=name).output)

    threads = [threading.Thread(target=work, args=(f"r{n}",)) for n in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sorted(results) == ["r0", "r1", "r2", "r3"]
