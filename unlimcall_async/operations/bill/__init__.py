"""An invoice against call records. Pure: no I/O.

- Reading an invoice: `invoice`, of `table` (rows of CSV), `columns` (which column holds what), `amounts` and `times` (cells).
- `lines`: the lines of an invoice, and what a comparison finds.
- Comparing: `reconciler`, of `calls` (call by call) and `sums` (by day, country and SIP line). `keys` has what a line and a record
  have in common, and `pairs` the order in which they are paired.
"""
