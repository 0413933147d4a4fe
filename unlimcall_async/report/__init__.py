"""A page of charts of call records, for people who look rather than read. Needs the extra `report`.

- `report`: `CallReport`, which counts records and makes the page.
- `cube`: the sums that the page holds, small enough for a page; pure. `names`: names without phone numbers; pure.
- `completeness`: what the manifest says; pure.
- `page`: the file, of `page.html`, `page.css` and `page.js`, and of the charts of `operations`.
"""

from unlimcall_async.report.completeness import reasons
from unlimcall_async.report.page import load_engine
from unlimcall_async.report.report import CallReport

__all__ = ["CallReport", "load_engine", "reasons"]
