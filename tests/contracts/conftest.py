import pytest

pytest.register_assert_rewrite(
    "contracts.messages_contract",
    "contracts.recipients_contract",
    "contracts.reaches_contract",
    "contracts.timers_contract",
    "contracts.events_contract",
)
