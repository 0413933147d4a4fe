"""Tests of `unlimcall_async.telemetry`."""
