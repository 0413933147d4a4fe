"""The whole package under simulation: production code on virtual time, a simulated network, and files that crashes cut short.

    python -m tests.simulation --seeds 1000

From the bottom up:

- `loop`: the event loop, whose time is virtual, and whose order depends on nothing but the program.
- `process`: simulated processes, which share the event loop, and are killed and frozen one by one.
- `connection`, `network`: connections in memory, with latency, and with the faults that were ordered.
- `disk`: what a crash leaves of a folder.
- `faults`, `plan`: what goes wrong, and all that happens in one run, from its seed.
- `limits`, `ledger`: the server of the limits that processes share, and what has become of its decisions.
- `rows`: what the server holds, when it shows it, and what of it changes.
- `pulling`, `following`, `syncing`, `calling`, `receiving`, `sharing`: the programs of users, and the oracle of each.
- `watch`: what must hold at any time; `states`: the hard states that a run has reached.
- `world`: one run of a plan. `shrink`: the fewest faults that still fail. `broken`: faults put into the code on purpose.
"""
