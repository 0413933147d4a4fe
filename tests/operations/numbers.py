"""Numbers, destinations and pools for the tests."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.operations.records import START
from unlimcall_async.operations import CallerId, CallerIdPool

GB, GB2, FR, US, CA, NOWHERE = (
    *("+442079460812", "+442079460813", "+33199001000"),
    *("+16465550112", "+14165550199", "+80012345678"),
)
TO_GB, TO_DE, TO_US, TO_AU, TO_NOWHERE = (
    "+442071838750",
    "+493023125000",
    "+14155551234",
    "+61255501000",
    "+80087654321",
)
NOW = START


def pool_of(*numbers: str, **options: Any) -> CallerIdPool:
    return CallerIdPool(map(CallerId, numbers), **options)


def selected(pool: CallerIdPool, destination: str, count: int = 1, *, now: datetime = NOW, **options: Any) -> list[str]:
    return [pool.select(destination, now=now, **options).number for _ in range(count)]
