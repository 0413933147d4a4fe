"""What a client has proven of its server: each stream begins with what the others have found out, and checks it as it goes.

Pure: no I/O.

Theory. A server order that one stream has proven is presumed by the next. A presumed order is not relied on before a page of the
stream itself supports it: no record that rests on it is handed out until then. The end of a chain does so at no cost, because its
page is complete: it must hold just the rows that it shares with the claim before it. A chain that is longer than three pages is not
held that long. There a claim is proven, as in a first stream. Each stream counts the pages since the last proof on from where the
others are, so that proofs come as often as in one long stream.

Whatever refutes the order in one stream withdraws it in all of them, and the next ones begin anew.
"""

from __future__ import annotations

from typing import Final

from unlimcall_async.cdrs.checkpoint import ProvenOrder
from unlimcall_async.cdrs.planner.page_cap import PageCap
from unlimcall_async.cdrs.planner.traffic import Traffic

# Claims in a presumed order that wait for the end of their chain: as many as a pull of the last day has, if it is small.
MOST_PRESUMED: Final = 3


class KnownServer:
    """What is known of one server, for one account.

    Attributes:
        order: The server order that was proven last, `True` for descending; `None` if none is proven.
        pages: How many pages rest on an order since it was proven.
        withdrawals: How often an order was withdrawn.
        traffic: The holes in the account's traffic that were checked.
        cap: What pages have shown of a page cap.
    """

    def __init__(self, cap: PageCap | None = None) -> None:
        self.cap: PageCap = cap or PageCap()
        self.order: bool | None = None
        self.pages: int = 0
        self.withdrawals: int = 0
        self.traffic: Traffic = Traffic()

    @property
    def proven(self) -> ProvenOrder | None:
        """The proven order, as checkpoints hold it."""
        return None if self.order is None else ProvenOrder(self.order, self.pages)

    def begin_with(self, proven: ProvenOrder | None) -> None:
        """Presume what a checkpoint holds, unless this process knows better."""
        if proven is not None and self.order is None and not self.withdrawals:
            self.order, self.pages = proven.descending, proven.pages

    def withdraw(self) -> None:
        """Withdraw the order, in all streams."""
        self.order = None
        self.withdrawals += 1
