"""Proof that a pull is complete: digests of days, manifests, and their verification.

    canonical   the bytes of a record, and its hash
    digest      the digests of days: `DayDigest`
    manifest    what a pull covers, and why that is complete: `Manifest`
    ledger      what a stream records of itself, from which its manifest is made
    comparison  records and days that were given, against those that the API holds now: `Verification`, `Difference`
    counts      which days to pull, as far as the `count` of answers tells

All of these are pure. `verification` asks the API again. `docs/proof.md` shows their use. `docs/digest.md` specifies the digest.
"""

from unlimcall_async.proof.comparison import Difference, Verification
from unlimcall_async.proof.digest import DayDigest
from unlimcall_async.proof.manifest import Evidence, Manifest, UnreadRow

__all__ = ["DayDigest", "Difference", "Evidence", "Manifest", "UnreadRow", "Verification"]
