"""The tally of a plan: what its parts hold, and how many of them are in which state.

Pure: no I/O. A plan may have a hundred parts, and the planner asks for these numbers several times for each request. So the tally
keeps them up to date while parts change, come and go.
"""

from __future__ import annotations

from collections.abc import Collection

from unlimcall_async.cdrs.planner.parts import Asked, Claimed, Part, Waiting
from unlimcall_async.cdrs.planner.tasks import Prove


class Tally:
    """The sums over the parts of a plan.

    Attributes:
        held: How many records wait for their turn.
        waiting: How many parts wait.
        claimed: How many parts are claimed.
        to_prove: How many claims wait for a question that proves them.
        proving: How many claims have such a question under way.
        asked: The parts with a question under way.
    """

    def __init__(self) -> None:
        self.held: int = 0
        self.waiting: int = 0
        self.claimed: int = 0
        self.to_prove: int = 0
        self.proving: int = 0
        self._asked: dict[Part, None] = {}
        self.asked: Collection[Part] = self._asked.keys()

    def add(self, part: Part) -> None:
        """Count a part that comes into the plan, and each of its changes from now on."""
        part.watcher = self.count
        self.count(part, 1)

    def remove(self, part: Part) -> None:
        """Count a part no longer."""
        part.watcher = None
        self.count(part, -1)

    def count(self, part: Part, by: int) -> None:
        """Add a part in its present state, by 1, or take it away, by -1."""
        self.held += by * part.held
        state = type(part.state)
        if state is Waiting:
            self.waiting += by
            if type(part.task) is Prove:
                self.to_prove += by
        elif state is Claimed:
            self.claimed += by
        elif state is Asked:
            if by > 0:
                self._asked[part] = None
            else:
                del self._asked[part]
            if type(part.task) is Prove:
                self.proving += by
