"""Tools that read annotations, as `typing.get_type_hints` does, can evaluate those of every public class, function and method."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator
from importlib import import_module
from types import FunctionType, ModuleType

import aiohttp
from aiohttp import web

import unlimcall_async
from unlimcall_async import AsyncClient, webhooks

NAMES = "accounts columns errors operations proof report sandbox shared sync telemetry webhooks"
PUBLIC: list[ModuleType] = [unlimcall_async, *(import_module(f"unlimcall_async.{name}") for name in NAMES.split())]


def functions_of(name: str, owner: type) -> Iterator[tuple[str, object]]:
    """The public methods of a class, its properties and its `__init__`, those of its bases included."""
    for attribute, member in inspect.getmembers_static(owner):
        if attribute.startswith("_") and attribute != "__init__":
            continue
        function = member.__func__ if isinstance(member, (classmethod, staticmethod)) else member
        if isinstance(member, property):
            function = member.fget
        if isinstance(function, FunctionType):
            yield f"{name}.{attribute}", function


def public_surface() -> dict[str, object]:
    found: dict[str, object] = {}
    for module in PUBLIC:
        for name in module.__all__:
            each, path = getattr(module, name), f"{module.__name__}.{name}"
            if isinstance(each, (type, FunctionType)):
                found[path] = each
            if isinstance(each, type):
                found |= functions_of(path, each)
    return found


SURFACE = public_surface()


def test_the_annotations_can_be_evaluated() -> None:
    wrong = {}
    for name, each in SURFACE.items():
        try:
            typing.get_type_hints(each, include_extras=True)
        except (NameError, TypeError, AttributeError) as error:
            wrong[name] = error
    assert wrong == {}


def test_the_surface_is_walked_over() -> None:
    assert len(SURFACE) > 250


def test_types_of_aiohttp_are_those_of_aiohttp() -> None:
    hints = typing.get_type_hints(AsyncClient.__init__)
    assert hints["session"] == aiohttp.ClientSession | None
    assert typing.get_type_hints(webhooks.WebhookReceiver.aiohttp_app)["return"] is web.Application
