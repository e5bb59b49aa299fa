"""Compiles Feast's type checks at the first call of each method.

Feast marks its classes with typeguard's ``@typechecked``, which reads, parses and compiles the
module of a class once for each of its methods: 242 times in Feast 0.67, five of the seven seconds
of processor time that importing Feast takes. A job calls a few dozen of those methods. Here the
same decorator is applied to each method at its first call.
"""

import contextlib
from collections.abc import Callable, Iterator
from functools import wraps
from inspect import isclass, isfunction
from typing import Any

import typeguard


@contextlib.contextmanager
def lazy_typeguard() -> Iterator[None]:
    """While open, ``from typeguard import typechecked`` imports the lazy decorator."""
    eager = typeguard.typechecked

    def typechecked(target: Any = None, **options: Any) -> Any:
        if isclass(target) and not options:
            return _check_lazily(target, eager)
        return eager(target, **options)

    typeguard.typechecked = typechecked
    try:
        yield
    finally:
        typeguard.typechecked = eager


def _check_lazily(cls: Any, check: Callable[[Any], Any]) -> Any:
    """The class, with its methods and properties checked from their first call on."""

    def method(member: Any) -> Any:
        own = isfunction(member) and member.__module__ == cls.__module__
        if own and member.__qualname__.startswith(f"{cls.__qualname__}."):
            return _check_at_first_call(member, check)
        return member

    for name, member in list(vars(cls).items()):
        if isinstance(member, classmethod | staticmethod):
            setattr(cls, name, type(member)(method(member.__func__)))
        elif isinstance(member, property):
            get, put, delete = map(method, (member.fget, member.fset, member.fdel))
            setattr(cls, name, type(member)(get, put, delete, member.__doc__))
        elif isfunction(member):
            setattr(cls, name, method(member))
    return cls


def _check_at_first_call(function: Callable[..., Any], check: Callable[[Any], Any]) -> Any:
    checked: Callable[..., Any] | None = None

    @wraps(function, updated=())  # as typeguard's own wrapper
    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal checked
        if checked is None:
            checked = check(function)
        return checked(*args, **kwargs)

    return call
