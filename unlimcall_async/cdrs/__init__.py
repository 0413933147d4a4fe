"""Call detail records: what a user holds, and the planner behind it.

- `resource`: `client.cdrs`, which checks arguments and makes the rest.
- `stream`: all records of a range. `follow`: the live tail, made of streams.
- `checkpoint`, `follow_checkpoint`, `stats`: how far they are. `checkpoint_journal`, `checkpoint_file`: how to store that, batch by
  batch.
- `planner/`: which windows to ask, and what a page means. Pure.
- `tail`: what a follow still has to ask; `marks`, `lateness` and `poll_clock` are parts of it. Pure.
- `position`: how far a stream was handed out. `output_order`, `times`. Pure.
- `iteration`: one iteration at a time, and a clean end to each.
"""
