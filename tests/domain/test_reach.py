from datetime import UTC, datetime, timedelta

import pytest

from backstop.domain.reach import Reach

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)

TEXT = {"text": "Hello"}
CARD = {"richCard": {"standaloneCard": {"cardContent": {"title": "T"}}}}
CARDS = {
    "richCard": {
        "carouselCard": {
            "cardContents": [
                {"title": "T"},
                {
                    "title": "U",
                    "suggestions": [{"action": {"text": "D", "dialAction": {}}}],
                },
            ]
        }
    }
}
DIAL = {"text": "T", "suggestions": [{"action": {"text": "D", "dialAction": {}}}]}
DIAL_OR_OPEN = {
    "text": "T",
    "suggestions": [
        {"action": {"dialAction": {}, "fallbackUrl": "https://example.com"}}
    ],
}
REPLY = {"text": "T", "suggestions": [{"reply": {"text": "action"}}]}
COMPOSE = {"text": "T", "suggestions": [{"action": {"composeAction": {}}}]}

ROWS = [
    (TEXT, (), False),
    (REPLY, (), False),
    (CARD, (), True),
    (CARD, ("RICHCARD_STANDALONE",), False),
    (CARD, ("RICHCARD_CAROUSEL",), True),
    (CARDS, ("RICHCARD_STANDALONE", "ACTION_DIAL"), True),
    (CARDS, ("RICHCARD_CAROUSEL",), True),
    (CARDS, ("RICHCARD_CAROUSEL", "ACTION_DIAL"), False),
    (DIAL, ("ACTION_OPEN_URL",), True),
    (DIAL, ("ACTION_DIAL",), False),
    # The phone opens the URL instead.
    (DIAL_OR_OPEN, (), False),
    # Google has published no feature for it.
    (COMPOSE, (), False),
]


@pytest.mark.parametrize(("content", "features", "impossible"), ROWS)
def test_a_content_needs_its_features(content, features, impossible):
    """RBM would refuse it with a 400."""
    reach = Reach(reachable=True, features=features, until=LATER)
    assert reach.rules_out(content, NOW) == impossible


def test_what_was_not_said_rules_nothing_out():
    """users:batchGet tells who is reachable, and no features."""
    assert not Reach(reachable=True, until=LATER).rules_out(CARDS, NOW)


@pytest.mark.parametrize(("until", "counts"), [(LATER, True), (NOW, False)])
def test_a_negative_answer_counts_until_it_lapses(until, counts):
    """And not at the instant itself."""
    assert Reach(reachable=False, until=until).rules_out(TEXT, NOW) == counts


def test_a_positive_answer_lapses_too():
    """A phone may be another by then."""
    assert not Reach(reachable=True, features=(), until=NOW).rules_out(CARD, NOW)
