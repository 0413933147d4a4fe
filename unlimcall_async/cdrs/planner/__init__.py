"""The planner: from a range to windows, and from pages to records. Pure: no I/O, no clock, no asyncio.

`planner` is the door: `Planner.next_question` says what to ask, and `Planner.receive` uses the page that came, case by case.
Read it first, then `parts`. The rest is looked up when a case leads there:

- `parts`: a part of the range, its states, and every transition between them.
- `plan`, `choice`: the parts in the order of the output, and which of them is asked next.
- `page`: the response to one CDR request.
- `seek`: the first strategy. A full page that is sorted claims one end of its part, and the next window goes on from its edge.
- `divide`: the second strategy. A part whose page is full is cut where a page is likely to hold a piece.
- `arrival`: how far a pull may look ahead, and how it finds the first records that it can hand out.
- `estimates`, `density`, `forecast`, `durations`: the estimates that cuts follow. `cuts` has the arithmetic, and `sizes` how
  much may be held.
- `bounds`: a single second that overflows a page.
- `page_cap`, `checks`: a server that gives fewer rows than were asked for, and does not say so, or counts more than it gives.
"""
