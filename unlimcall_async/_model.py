"""What all models have in common.

Pure: no I/O.
"""

from __future__ import annotations

from collections.abc import Callable, KeysView
from typing import TYPE_CHECKING, Any

from unlimcall_async._lazy import LazyModule

if TYPE_CHECKING:
    from unlimcall_async import _plain
else:
    # Imports msgspec, and few programs turn the models of a client into plain values.
    _plain = LazyModule("unlimcall_async._plain")


class Model:
    """The base of all models.

    A model reads as a mapping of its plain form, too: `dict(model)` is `to_dict(model)`. That is how other libraries turn an object
    that they do not know into JSON, for example `json.dumps(model, default=dict)` and FastAPI's `jsonable_encoder(model)`.
    """

    __slots__ = ()

    if not TYPE_CHECKING:
        # A class with `__getitem__` is iterable to Python, unless it says that it is not.
        __iter__ = None

    def keys(self) -> KeysView[str]:
        """Return the names in the plain form."""
        return _plain.to_dict(self).keys()

    def __getitem__(self, name: str) -> Any:
        return _plain.to_dict(self)[name]

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, handler: Callable[[Any], Any]) -> Any:
        """Return the schema by which pydantic, and so FastAPI, reads, writes and describes the model."""
        from unlimcall_async._schema import schema_of  # noqa: PLC0415 # pydantic, which calls this, need not be installed

        return schema_of(cls, handler)
