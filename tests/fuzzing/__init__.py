"""Readers of untrusted bytes under coverage-guided fuzzing: `python -m tests.fuzzing`."""
