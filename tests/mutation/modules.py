"""The modules of the pure core that are mutated, each with the tests that have to notice."""

from __future__ import annotations

from typing import Final

_PLANNER: Final = (
    "tests/cdrs/test_bounds.py",
    "tests/cdrs/test_margins.py",
    "tests/cdrs/test_plan.py",
    "tests/cdrs/test_planner.py",
    "tests/cdrs/test_known_server.py",
    "tests/cdrs/test_page_cap.py",
    "tests/cdrs/test_windows.py",
    "tests/cdrs/test_order_breaks.py",
    "tests/cdrs/test_racing_counts.py",
    "tests/cdrs/test_silent_caps.py",
)

TESTS: Final[dict[str, tuple[str, ...]]] = {
    "http.bucket": (
        "tests/core/test_bucket_figures.py",
        "tests/core/test_bucket_pace.py",
    ),
    "http.retry": ("tests/core/test_retry.py",),
    "http.outcome": ("tests/core/test_outcome.py", "tests/core/test_retry.py"),
    "http.pace": ("tests/core/test_pace.py",),
    "webhooks.signature": (
        "tests/webhooks/test_signature.py",
        "tests/webhooks/test_verification.py",
        "tests/webhooks/test_mutations.py",
    ),
    "proof.digest": ("tests/proof/test_days.py",),
    "proof.canonical": ("tests/proof/test_canonical.py",),
    "sync.diff": ("tests/sync/test_diff.py",),
    "sync.pieces": ("tests/sync/test_pieces.py",),
    "cdrs.legs": ("tests/cdrs/test_legs.py",),
    "cdrs.output_order": ("tests/cdrs/test_output_order.py", "tests/cdrs/test_places.py"),
    "cdrs.position": ("tests/cdrs/test_position.py", "tests/cdrs/test_places.py"),
    "cdrs.planner.bounds": ("tests/cdrs/test_bounds.py",),
    "cdrs.planner.claims": _PLANNER,
    "cdrs.planner.checks": _PLANNER,
    "cdrs.planner.holes": ("tests/cdrs/test_holes.py",),
    "cdrs.planner.margins": ("tests/cdrs/test_windows.py",),
    "cdrs.planner.windows": ("tests/cdrs/test_windows.py",),
    "webhooks.steady": ("tests/webhooks/test_steady.py",),
}
