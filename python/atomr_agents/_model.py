"""From what the user calls a model to the client that reaches it."""

from __future__ import annotations

from .errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._native.agent import InferenceClient

PROVIDERS = {
    "openai": "openai",
    "openai-responses": "openai_responses",
    "anthropic": "anthropic",
    "gemini": "gemini",
}
"""The prefixes of model names, and what makes the client of each."""


def resolve(
    model: Any, model_name: str | None, options: dict[str, Any], fallbacks: Any = (), cache: Any = None
) -> tuple[InferenceClient, str]:
    """The client and the name it is asked for. `options` are those of a client that is yet to be made; the models of
    `fallbacks` are asked when it fails; what `cache` holds is not asked for again."""
    from . import _checks

    client, name = _resolved(model, model_name, options)
    chain = [_resolved(each, None, {}) for each in _checks.items("fallbacks", "a list of models", fallbacks)]
    if chain:
        client = client.with_fallbacks(chain)
    if cache is not None:
        from ._native.cache import InMemoryLlmCache

        if not isinstance(cache, InMemoryLlmCache):
            _checks.fail("cache", "an InMemoryLlmCache", cache)
        # What is served again costs nothing; two servers may call different models by one name.
        client = client.cached(cache, scope=options.get("base_url") or "", replay_usage=False)
    return client, name


def _resolved(model: Any, model_name: str | None, options: dict[str, Any]) -> tuple[InferenceClient, str]:
    from ._native.agent import InferenceClient

    if isinstance(model, str):
        prefix, name = _parts_of(model)
        return getattr(InferenceClient, PROVIDERS[prefix])(**options), model_name or name
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise ConfigError(f"{', '.join(given)} cannot be set here: the client that was given has its own")
    if isinstance(model, InferenceClient):
        return model, model_name or _name_at(model)
    client = getattr(model, "client", None)
    if callable(client) and isinstance(made := client(), InferenceClient):
        return made, model_name or getattr(model, "model_name", None) or made.provider
    key, target = _registered(model)
    return InferenceClient.guest(target, key), model_name or key


def _parts_of(model: str) -> tuple[str, str]:
    prefix, colon, name = model.strip().partition(":")
    name = name.strip()
    known = ", ".join(f"{provider}:" for provider in PROVIDERS)
    if not colon:
        example = f"openai:{prefix or 'gpt-4o-mini'}"
        raise ConfigError(f"the model {model!r} does not say whose it is; write {example} (known are: {known})")
    if prefix not in PROVIDERS:
        raise ConfigError(f"the model {model!r} begins with an unknown prefix {prefix!r}; known are: {known}")
    if not name:
        raise ConfigError(f"the model {model!r} has no name after the prefix; write for example openai:gpt-4o-mini")
    return prefix, name


def _name_at(client: InferenceClient) -> str:
    """A model written in Python is its own name; a provider has many."""
    if client.provider in PROVIDERS:
        raise ConfigError(f"which model of {client.provider}? Say it with model_name=")
    return client.provider


def _registered(model: Any) -> tuple[str, Any]:
    """The key under which the object, or its class, was registered with `@inference_client`, and what runs."""
    from ._guests import name_of, registered
    from .errors import ContractError

    if found := registered("inference_client", model):
        return found
    if not callable(model) and not hasattr(model, "stream"):
        raise ContractError(
            f"a model is a name such as 'openai:gpt-4o-mini', a client, or an object with `stream`; "
            f"{type(model).__qualname__} is none of these"
        )
    return name_of(model), model
