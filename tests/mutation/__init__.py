"""The pure core under mutation: `python -m tests.mutation`."""
