"""Receipts in any order, one of them twice, end in the same record (promise 7)."""

import secrets

import pytest

from backstop.domain.message import Contract, Policy
from proof.orders import begun, ends, multisets

POLICIES = [Policy.PROMPT, Policy.CONFIRMED, Policy.STRICT, Policy.HEDGE]


@pytest.mark.parametrize("policy", POLICIES)
def test_every_order_of_three_ends_in_the_same_record(policy: Policy):
    """All choices of three receipts, each with one of them twice."""
    for receipts in multisets(3):
        records, orders = ends(begun(policy, Contract.CONFIRMING), receipts)
        assert orders == 12
        assert len(records) == 1, receipts


@pytest.mark.parametrize("policy", POLICIES)
def test_orders_of_six_end_in_the_same_record(policy: Policy):
    """One choice of six receipts by chance; `make prove` tries them all."""
    choices = list(multisets(6))
    receipts = choices[secrets.randbelow(len(choices))]

    records, orders = ends(begun(policy, Contract.LEGACY), receipts)

    assert orders == 2520
    assert len(records) == 1, receipts
