"""Traces and metrics by OpenTelemetry, for whatever backend its SDK exports to. Needs the extra `otel`.

The modules, from the bottom up:

- `conventions`: observations in the words of the semantic conventions for HTTP; pure.
- `watching`: the counts of streams, follows and receivers, also of those that are gone.
- `instruments`: what is measured, for each provider of meters once.
- `observer`: `OpenTelemetryObserver`, which joins all of these.
"""

from unlimcall_async._extras import of_extra

with of_extra("unlimcall_async.telemetry", "otel", "opentelemetry"):
    from unlimcall_async.telemetry.observer import OpenTelemetryObserver

__all__ = ["OpenTelemetryObserver"]
