"""Tokens are counted exactly where the vocabulary is known."""

from atomr_agents.core import count_tokens


def test_tokens_are_counted():
    assert count_tokens("The weather in Oslo?", "gpt-4o") == 5
    assert count_tokens("", "gpt-4o") == 0
    assert count_tokens("The weather in Oslo? " * 1000, "gpt-4") == 5001, "the last space is a token of its own"
    assert count_tokens("The weather in Oslo?", "a-model-of-somebody") == 7, "an estimate from above"
