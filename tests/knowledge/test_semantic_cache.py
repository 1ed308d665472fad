"""P43 with a real model: what is nearly the same to it, and not to a person, is never answered from the cache."""

import pytest

from atomr_agents import Agent
from atomr_agents.cache import SemanticLlmCache
from atomr_agents.embed import OnnxEmbedder
from atomr_agents.testkit import ScriptedModel

pytestmark = pytest.mark.timeout(240)

LONG = "I am planning a trip with my whole family next summer and I would like to know as exactly as possible "

# Each word stands for one question; none of them may answer another one.
KIN = {
    "What does a room in {} cost?": (
        "oslo bergen sydney melbourne beijing shanghai rome milan paris london norway sweden latvia"
    ),
    "Is the shop open on {}?": "monday tuesday wednesday thursday friday saturday sunday weekdays holidays christmas",
    "How long is the season in {}?": "january february march april may june july spring summer autumn winter",
    "Show me the price for {} people": "one two three four five six ten twelve twenty hundred 1 2 3 4 5 10 100",
    "Is it {} to do this?": "safe unsafe legal illegal cheap expensive wise unwise fair unfair possible impossible",
    "How do I {} the program?": (
        "install uninstall start stop open close enable disable lock unlock update downgrade upgrade"
    ),
    "Where does the {} flight leave?": (
        "inbound outbound incoming outgoing domestic international early late first last"
    ),
    "Can my {} sign for me?": (
        "husband wife son daughter mother father uncle aunt widow widower landlord tenant lender borrower"
    ),
    "How much {} may I take a day?": (
        "aspirin ibuprofen paracetamol chlorine chlorate nitrate nitrite codeine morphine insulin"
    ),
    "How do I sort a list in {}?": "python java javascript C C++ C# ruby perl",
    "Is {} data included?": "my your his her our their everybody's nobody's",
    "What is 12 {} 4": "+ - * / % ^ > < times plus minus",
}

PAIRS = [
    ("how much the 3 day ticket costs", "how much the 4 day ticket costs"),
    ("whether it rains in Oslo", "whether it rains in Bergen"),
    ("whether dogs are allowed", "whether dogs are not allowed"),
    ("whether dogs are allowed", "whether dogs aren't allowed"),
    ("whether dogs are allowed", "whether dogs are allowed without a leash"),
    ("when the train from Oslo to Bergen leaves", "when the train from Bergen to Oslo leaves"),
    ("when the train from oslo to bergen leaves", "when the train from bergen to oslo leaves"),
    ("whether the dog bites the man", "whether the man bites the dog"),
    ("what Ada pays", "what Bob pays"),
    ("what sara pays", "what sarah pays"),
    ("whether it opens at 10:30", "whether it opens at 10:45"),
    ("whether the price rises", "whether the price falls"),
    ("whether the price is above the limit", "whether the price is below the limit"),
    ("what it costs", "what it costs in winter"),
    ("what it cost in 1999", "what it cost in 2001"),
    ("what it costs today", "what it costs tomorrow"),
    ("whether -3 degrees are usual", "whether 3 degrees are usual"),
    ("the rules for children", "the rules for adults"),
    ("whether it takes more than an hour", "whether it takes less than an hour"),
    ("a ticket that costs $50", "a ticket that costs €50"),
    ("who may come with me", "who must come with me"),
    ("cheap flights and good hotels", "good flights and cheap hotels"),
    ("what 天气 means", "what 价格 means"),
    ("how I feel 😀", "how I feel 😡"),
]

PARAPHRASES = [
    ("What does the cheap plan cost?", "What does the inexpensive plan cost?"),
    ("How do I buy a car in Norway?", "How do I purchase an automobile in Norway?"),
    ("How quickly does the delivery arrive?", "How rapidly does the delivery arrive?"),
    ("Are children allowed in the museum?", "Are kids permitted in the museum?"),
    ("Which movies are shown in the old cinema?", "Which films are shown in the old cinema?"),
    ("Do I need a lawyer to sell my house?", "Do I need an attorney to sell my house?"),
    ("How do I repair my bicycle?", "how do I repair my bike"),
    ("What is the weather in Oslo?", "what's the weather in Oslo"),
    ("Please tell me how much a ticket to Rome costs.", "Tell me how much tickets to Rome cost"),
]


@pytest.fixture(scope="module")
def embedder(minilm):
    return OnnxEmbedder(minilm)


async def hits(embedder, *questions):
    """How many of these questions are answered by the meaning of another one, at the default thresholds."""
    cache = SemanticLlmCache(embedder)
    model = ScriptedModel()
    for at in range(len(questions)):
        model.text(f"answer {at}")
    agent = Agent(model.client().cached(cache))
    for question in questions:
        await agent.run(question)
    return cache.stats()["by_meaning"]


@pytest.mark.parametrize("template", KIN)
async def test_kin_never_answer_for_each_other(embedder, template):
    words = KIN[template].split()
    assert await hits(embedder, *(template.format(word) for word in words)) == 0
    assert await hits(embedder, *(LONG + template.format(word) for word in words)) == 0


@pytest.mark.parametrize("pair", PAIRS)
async def test_what_is_nearly_the_same_is_not_the_same(embedder, pair):
    assert await hits(embedder, *pair) == 0
    assert await hits(embedder, *(LONG + words for words in pair)) == 0
    assert await hits(embedder, *(LONG + words for words in reversed(pair))) == 0


@pytest.mark.parametrize("pair", PARAPHRASES)
async def test_the_same_in_other_words_is_answered(embedder, pair):
    assert await hits(embedder, *pair) == 1
    assert await hits(embedder, *reversed(pair)) == 1
