"""The public names of the operations."""

from __future__ import annotations

import inspect

import attrs
import pytest

from unlimcall_async import operations

SUBMODULES = {
    *("balance_file", "balances", "bill"),
    *("caller_ids", "carrier", "credit", "credit_watch", "failure_counts", "health", "iteration", "numbering", "pool"),
    *("charts", "dispositions", "pool_state", "shares", "spending", "summary", "summary_notebook", "summary_rows"),
    *(
        "assignment",
        "event_alarm",
        "event_buckets",
        "event_habit",
        "event_horizon",
        "event_log",
        "event_matching",
        "event_sides",
    ),
    *("event_state", "event_watch", "events"),
}
FROZEN = (
    *(
        "BalanceFall",
        "BillFinding",
        "BillSum",
        "Invoice",
        "InvoiceLine",
        "InvoiceTotal",
        "KeptBalance",
        "UnreadableLine",
    ),
    *("CallerId", "CarrierAlert", "CreditAlert", "EventAlert", "EventMatch", "MissedCall", "NumberHealth", "Place"),
    *("SeenEvent", "Share", "Spend", "SummaryRow"),
)


def test_nothing_public_is_left_out_of_all() -> None:
    assert {name for name in vars(operations) if name[0] not in "_@"} - SUBMODULES == set(operations.__all__)


def test_everything_that_can_be_documented_is() -> None:
    for name in operations.__all__:
        value = getattr(operations, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__doc__, name


@pytest.mark.parametrize("name", FROZEN)
def test_values_are_frozen_and_slotted(name: str) -> None:
    model = getattr(operations, name)
    assert "__slots__" in vars(model)
    sample = object.__new__(model)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(sample, attrs.fields(model)[0].name, 1)
