"""What the manifest of a pull says of the completeness of a report. Pure: no I/O."""

from __future__ import annotations

from collections import Counter

from unlimcall_async.proof import Manifest

UNPROVEN = "These records have no manifest, so this report cannot say that none is missing."


def reasons(manifest: Manifest) -> str:
    """Return how many windows the records rest on, and why each is complete, as a sentence."""
    counts, windows = Counter(window.reason for window in manifest.windows), len(manifest.windows)
    return (
        f"The records rest on {windows:,} {'window' if windows == 1 else 'windows'}, and nothing of the range is left out: "
        f"{counts['short']:,} short, {counts['sought']:,} sought."
    )


def sentences(manifest: Manifest | None, records: int) -> list[str]:
    """Return what a report says of its completeness.

    Args:
        manifest: The manifest of the records, if there is one.
        records: How many records were counted.
    """
    if manifest is None:
        return [UNPROVEN]
    total, unreadable = manifest.total, len(manifest.unreadable)
    held = (
        f"The manifest covers {manifest.start.isoformat()} till {manifest.end.isoformat()}: {total.records:,} records."
    )
    said = [reasons(manifest), held]
    if total.records != records:
        said.append(f"This report counts {records:,} records, so it is of another range, or the records were changed.")
    if unreadable:
        said.append(f"Rows of the API that could not be read, and are not counted: {unreadable:,}.")
    return [*said, f"Digest: {total.digest}.", *manifest.assumptions]
