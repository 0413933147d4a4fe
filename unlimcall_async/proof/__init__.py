"""Proof that a pull is complete: digests of days, manifests, and their verification.

    canonical   the bytes of a record, and its hash
    digest      the digests of days: `DayDigest`
    manifest    what a pull covers, and why that is complete: `Manifest`
    ledger      what a stream records of itself, from which its manifest is made

All of these are pure. `docs/proof.md` shows their use, and `docs/digest.md` specifies the digest.
"""

from unlimcall_async.proof.digest import DayDigest
from unlimcall_async.proof.manifest import Evidence, Manifest, UnreadRow

__all__ = ["DayDigest", "Evidence", "Manifest", "UnreadRow"]
