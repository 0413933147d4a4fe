"""Caller-ID rotation, carrier alerts, credit alerts and the check of invoices (operations guide).

The modules that decide do no I/O. The package uses the public package alone, and the client's checks of arguments.

- Caller-ID rotation: `caller_ids` (a caller id, and the errors), `pool` and `pool_state` (its JSON), `health` (which numbers do
  badly), `numbering` (the country of a number).
- Carrier alerts: `carrier`.
- Credit alerts: `spending` (the cost of calls), `credit` (the decisions), `credit_watch` (polls the API), `balances`
  (those that were kept), `balance_file`.
- Summaries: `summary` (counts records by group), `summary_rows` (groups and their sums), `dispositions` (which calls failed),
  `charts` (for reports and notebooks), `summary_notebook`.
- Invoices: `bill/`.
- Events against records: `event_sides` (what is compared), `assignment`, `event_matching` and `event_habit` (how), `event_buckets`
  (when), `event_horizon` (what is kept), `event_alarm`, `event_state` (its JSON), and `events`, which joins them; `event_watch`
  sweeps again and again, and `event_log` keeps what a receiver has seen.
- `shares`: a count out of a total, with its confidence interval.
"""

from unlimcall_async.operations.balances import BalanceFall, KeptBalance, balance_falls, read_balances
from unlimcall_async.operations.bill.columns import BillColumn, columns_named
from unlimcall_async.operations.bill.invoice import Invoice, InvoiceTotal, UnreadableLine, read_invoice
from unlimcall_async.operations.bill.lines import (
    BILL_KINDS,
    QUIET_KINDS,
    BillCheck,
    BillFinding,
    BillKind,
    BillSum,
    InvoiceLine,
)
from unlimcall_async.operations.bill.reconciler import BILL_MARGIN, BillReconciler, bill_range, check_bill
from unlimcall_async.operations.caller_ids import CallerId, NoCallerIdError, PoolStateError, Step
from unlimcall_async.operations.carrier import AlertState, CarrierAlert, CarrierMonitor
from unlimcall_async.operations.credit import CreditAlert, CreditKind, CreditMonitor, available_credit
from unlimcall_async.operations.credit_watch import CreditWatch
from unlimcall_async.operations.dispositions import FAILED_DISPOSITIONS
from unlimcall_async.operations.event_alarm import EventAlert
from unlimcall_async.operations.event_log import EventLog, EventLogError, read_log
from unlimcall_async.operations.event_matching import Grade
from unlimcall_async.operations.event_sides import SeenEvent
from unlimcall_async.operations.event_state import EventStateError
from unlimcall_async.operations.events import EventMatch, EventReconciler, MissedCall
from unlimcall_async.operations.health import CallerIdHealth, NumberHealth, Reason, Verdict
from unlimcall_async.operations.numbering import Place, place_of
from unlimcall_async.operations.pool import CallerIdPool
from unlimcall_async.operations.shares import Share
from unlimcall_async.operations.spending import Spend, SpendTally
from unlimcall_async.operations.summary import CallSummary
from unlimcall_async.operations.summary_rows import SummaryRow

__all__ = [
    "BILL_KINDS",
    "BILL_MARGIN",
    "FAILED_DISPOSITIONS",
    "QUIET_KINDS",
    "AlertState",
    "BalanceFall",
    "BillCheck",
    "BillColumn",
    "BillFinding",
    "BillKind",
    "BillReconciler",
    "BillSum",
    "CallSummary",
    "CallerId",
    "CallerIdHealth",
    "CallerIdPool",
    "CarrierAlert",
    "CarrierMonitor",
    "CreditAlert",
    "CreditKind",
    "CreditMonitor",
    "CreditWatch",
    "EventAlert",
    "EventLog",
    "EventLogError",
    "EventMatch",
    "EventReconciler",
    "EventStateError",
    "Grade",
    "Invoice",
    "InvoiceLine",
    "InvoiceTotal",
    "KeptBalance",
    "MissedCall",
    "NoCallerIdError",
    "NumberHealth",
    "Place",
    "PoolStateError",
    "Reason",
    "SeenEvent",
    "Share",
    "Spend",
    "SpendTally",
    "Step",
    "SummaryRow",
    "UnreadableLine",
    "Verdict",
    "available_credit",
    "balance_falls",
    "bill_range",
    "check_bill",
    "columns_named",
    "place_of",
    "read_balances",
    "read_invoice",
    "read_log",
]
