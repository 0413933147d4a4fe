"""`$UNLIMCALL_LOG`: turns the logger of the package on, for a program that does not set logging up itself."""

from __future__ import annotations

import logging
import os
import sys
from typing import Final

_NAME: Final = "UNLIMCALL_LOG"
_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO}
FORM: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"

_logger = logging.getLogger("unlimcall_async")


class _ToStderr(logging.Handler):
    """Writes a record on standard error, unless a handler of the program takes the same record."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter(FORM))
        # The last value of the variable that was heeded.
        self.heeded: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        # Looked up for each record, because a program may set logging up, or replace standard error, at any time.
        if sys.stderr is None or _is_taken(record, by_others_than=self):
            return
        try:
            sys.stderr.write(f"{self.format(record)}\n")
            sys.stderr.flush()
        except Exception:  # noqa: BLE001 # a failure to log must not reach the code that logs, as in all handlers
            self.handleError(record)


def _is_taken(record: logging.LogRecord, *, by_others_than: logging.Handler) -> bool:
    """Return whether another handler of the logger, or of those above it, takes a record."""
    logger: logging.Logger | None = _logger
    while logger is not None:
        for handler in logger.handlers:
            takes = handler is not by_others_than and not isinstance(handler, logging.NullHandler)
            if takes and record.levelno >= handler.level:
                return True
        logger = logger.parent if logger.propagate else None
    return False


_handler: Final = _ToStderr()


def heed_environment() -> None:
    """Set the level of the logger as `$UNLIMCALL_LOG` says, and write its records on standard error.

    Each client and each receiver of webhooks calls this function when it is made. A value that was heeded before is not heeded
    again, so that a level which the program sets afterwards stands.
    """
    value = os.environ.get(_NAME, "").strip().lower()
    if not value or value == _handler.heeded:
        return
    _handler.heeded = value
    level = _LEVELS.get(value)
    if level is None:
        # The value itself may be anything, a token for example.
        _logger.warning("%s must be %s, and is ignored", _NAME, " or ".join(_LEVELS))
        return
    _logger.setLevel(level)
    _logger.addHandler(_handler)
