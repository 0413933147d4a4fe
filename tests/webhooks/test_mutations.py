"""Mutated deliveries are refused; `python -m tests.webhooks.mutations --deliveries 1000000` tries a million."""

from __future__ import annotations

import pytest

from tests.webhooks.mutations import MUTATIONS, run


@pytest.mark.slow
def test_mutated_deliveries_are_refused_with_signature_error() -> None:
    refused, wrong = run(15_000, seed=7)
    assert wrong == []
    assert refused == {mutation.__name__: 1000 for mutation in MUTATIONS}
