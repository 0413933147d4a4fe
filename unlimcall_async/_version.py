"""The version, in one place: the build reads it, and every request names it in its `User-Agent`."""

__version__ = "0.1.0"
