"""The modules of the pure core that are mutated, each with the tests that have to notice."""

from __future__ import annotations

from typing import Final

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
    "cdrs.marks": ("tests/cdrs/test_marks.py",),
    "cdrs.output_order": ("tests/cdrs/test_output_order.py", "tests/cdrs/test_places.py"),
    "cdrs.position": ("tests/cdrs/test_position.py", "tests/cdrs/test_places.py"),
    "cdrs.planner.bounds": ("tests/cdrs/test_bounds.py",),
    "cdrs.planner.claims": ("tests/cdrs/test_claims.py",),
    "cdrs.planner.checks": ("tests/cdrs/test_checks.py",),
    "cdrs.planner.holes": ("tests/cdrs/test_holes.py",),
    "cdrs.planner.margins": ("tests/cdrs/test_windows.py",),
    "cdrs.planner.resolver": ("tests/cdrs/test_resolver.py",),
    "cdrs.planner.seek": (
        "tests/cdrs/test_seek.py",
        "tests/cdrs/test_seek_figures.py",
        "tests/cdrs/test_server_order.py",
    ),
    "cdrs.planner.shown": ("tests/cdrs/test_shown.py",),
    "cdrs.planner.windows": ("tests/cdrs/test_windows.py",),
    "webhooks.steady": ("tests/webhooks/test_steady.py",),
}
