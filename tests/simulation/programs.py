"""The programs of users, by name."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from tests.simulation.calling import dial
from tests.simulation.following import follow
from tests.simulation.plan import Program
from tests.simulation.pulling import pull
from tests.simulation.receiving import receive
from tests.simulation.sharing import share
from tests.simulation.syncing import sync
from tests.simulation.world import World

PROGRAMS: Final[Mapping[Program, Callable[[World], Coroutine[Any, Any, None]]]] = {
    "pull": pull,
    "follow": follow,
    "sync": sync,
    "dial": dial,
    "receive": receive,
    "share": share,
}
