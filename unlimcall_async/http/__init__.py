"""One exchange with the API: what to send, when, how often, and what the answer means.

`endpoints`, `messages`, `answers`, `retry` and `bucket` decide and do no I/O; `limiter`, `transport` and `exchange` are the
thin async shells that carry it out. The seam between the two is `(status, headers, body)`.
"""
