"""`client.raw`: the methods of the client, with the response of each call beside its value.

`raw` makes such a method of a method of a resource, so that both have the same arguments and the same documentation.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, cast, get_type_hints

from attrs import field, frozen

from unlimcall_async._lazy import LazyModule
from unlimcall_async.http.caller import Caller

if TYPE_CHECKING:
    from unlimcall_async.http import observer
else:
    observer = LazyModule("unlimcall_async.http.observer")

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")


@frozen
class Raw(Generic[T]):
    """The value of a call, and how the call went.

    Attributes:
        value: What the method of the same name returns.
        status: The HTTP status of the last response.
        headers: The headers of that response, as the server sent them; names compare without case.
        request_id: What the API called the request, as in `APIError.request_id`.
        attempts: How many times the request was sent.
        elapsed_s: Seconds from the start of the call to its end, with all waits.
    """

    value: T
    status: int
    # Headers may hold phone numbers.
    headers: Mapping[str, str] = field(repr=False)
    request_id: str | None
    attempts: int
    elapsed_s: float


class RawMethods(Generic[R]):
    """The base class of what `client.raw` holds."""

    def __init__(self, resource_of: Callable[[Caller], R], caller: Caller) -> None:
        self._resource_of = resource_of
        self._caller = caller

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._caller.base_url}>"


def raw(
    method: Callable[Concatenate[R, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[RawMethods[R], P], Coroutine[Any, Any, Raw[T]]]:
    """Return a method that calls `method`, which makes one call, and gives the value of that call as a `Raw`."""
    made: Any = _ToBeMade(method)  # what a class and its instances have is the method
    return cast("Callable[Concatenate[RawMethods[R], P], Coroutine[Any, Any, Raw[T]]]", made)


class _ToBeMade:
    """Stands in a class for a method of `raw`, and makes the method when it is first asked for.

    To make the method imports all types that its annotations name.
    """

    def __init__(self, method: Callable[..., Coroutine[Any, Any, Any]]) -> None:
        self._method = method

    def __set_name__(self, owner: type, name: str) -> None:
        self._owner, self._name = owner, name

    def __get__(self, instance: object, owner: type) -> Any:
        made: Any = _made(self._method)
        setattr(self._owner, self._name, made)
        return made.__get__(instance, owner)


def _made(
    method: Callable[Concatenate[R, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[RawMethods[R], P], Coroutine[Any, Any, Raw[T]]]:
    @wraps(method)
    async def call(self: RawMethods[R], /, *args: P.args, **kwargs: P.kwargs) -> Raw[T]:
        traces: list[observer.Trace] = []
        resource = self._resource_of(self._caller.traced(traces))
        value = await method(resource, *args, **kwargs)
        (trace,) = traces
        if trace.status is None:
            raise AssertionError("a call that has a value has had a response")
        return Raw(value, trace.status, trace.headers, trace.request_id, trace.number, trace.elapsed_s)

    # Tools read signatures and type hints. Both would be those of `method`, whose result is another one.
    hints = get_type_hints(method)
    hints["return"] = cast("Any", Raw)[hints["return"]]  # mypy takes this for an annotation, and wants a name
    signature = inspect.signature(method)
    parameters = [
        each.replace(annotation=hints.get(each.name, each.annotation)) for each in signature.parameters.values()
    ]
    vars(call).pop("__wrapped__")
    vars(call)["__signature__"] = signature.replace(parameters=parameters, return_annotation=hints["return"])
    call.__annotations__ = hints
    return call
