"""The day's work with the API: caller ids, the carrier's health, and credit (operations guide).

Small parts that decide and do no I/O, and thin ones that wait. They use nothing but the public package.
"""

from unlimcall_async.operations.caller_ids import CallerId, NoCallerIdError, PoolStateError, Step
from unlimcall_async.operations.carrier import FAILED_DISPOSITIONS, AlertState, CarrierAlert, CarrierMonitor
from unlimcall_async.operations.credit import CreditAlert, CreditKind, CreditMonitor, available_credit
from unlimcall_async.operations.credit_watch import CreditWatch
from unlimcall_async.operations.health import CallerIdHealth, NumberHealth, Reason, Verdict
from unlimcall_async.operations.numbering import Place, place_of
from unlimcall_async.operations.pool import CallerIdPool
from unlimcall_async.operations.shares import Share
from unlimcall_async.operations.spending import Spend, SpendTally

__all__ = [
    "FAILED_DISPOSITIONS",
    "AlertState",
    "CallerId",
    "CallerIdHealth",
    "CallerIdPool",
    "CarrierAlert",
    "CarrierMonitor",
    "CreditAlert",
    "CreditKind",
    "CreditMonitor",
    "CreditWatch",
    "NoCallerIdError",
    "NumberHealth",
    "Place",
    "PoolStateError",
    "Reason",
    "Share",
    "Spend",
    "SpendTally",
    "Step",
    "Verdict",
    "available_credit",
    "place_of",
]
