"""Digests the repo code that a user-defined function depends on.

Feast stores only the function's own source, so Feast's diff does not detect a changed helper or
constant. This module traverses the live function object: functions and classes under the repo's
root by their syntax tree, constants by value, modules by their file.
"""

import ast
import hashlib
import inspect
import re
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from feature_lineage.runner.imports import imports_of_code, imports_of_file
from feature_lineage.runner.syntax import syntax


class _NotWalkableError(Exception):
    """A value without a stable representation was reached."""


def closures_of(contents: Any, repo: Path) -> dict[str, str]:
    """View → hex sha256 of the repo code that its function reaches.

    Args:
        contents: Feast's ``RepoContents``.
        repo: the repo's root, resolved.

    If the code of a function cannot be analysed, the digest covers every Python file of the repo
    instead: it then also changes for unrelated edits, but misses none.
    """
    result, whole = {}, ""
    for view in (
        *contents.on_demand_feature_views,
        *contents.stream_feature_views,
        *contents.feature_views,
    ):
        function = function_of(view)
        if function is None:
            continue
        try:
            result[view.name] = _sha256(repr(_Walk(repo).function(function)))
        except (_NotWalkableError, RecursionError):
            whole = whole or _whole_repo(repo)
            result[view.name] = whole
    return result


def function_of(view: Any) -> Any:
    """The live user-defined function of a view, None if there is none."""
    transformation = getattr(view, "feature_transformation", None)
    return getattr(transformation, "udf", None) or getattr(view, "udf", None)


class _Walk:
    """One traversal; records visited objects, so that recursion ends."""

    def __init__(self, repo: Path) -> None:
        self._repo = repo
        self._visited: set[int] = set()

    def function(self, function: Any) -> Any:
        """A function: its syntax, and the values of its names, in name order."""
        function = self._outermost(function)
        if not isinstance(function, FunctionType):
            raise _NotWalkableError
        if id(function) in self._visited:
            return ["seen", function.__qualname__]
        self._visited.add(id(function))
        known = function.__globals__
        reached = [
            [name, self.value(known[name])]
            for name in sorted(set(_names(function.__code__)))
            if name in known
        ]
        try:
            free = inspect.getclosurevars(function).nonlocals
        except ValueError as error:
            raise _NotWalkableError from error
        reached += [[name, self.value(value)] for name, value in sorted(free.items())]
        defaults = [self.value(v) for v in function.__defaults__ or ()]
        keywords = [[k, self.value(v)] for k, v in sorted((function.__kwdefaults__ or {}).items())]
        parts = ["function", self._syntax(function), reached, defaults, keywords]
        imported = self._imported(imports_of_code(function.__code__))
        return [*parts, imported] if imported else parts

    def value(self, value: Any) -> Any:
        """A value that a name refers to."""
        match value:
            case None | bool() | int() | float() | complex() | str() | bytes():
                return [type(value).__name__, repr(value)]
            case list() | tuple():
                return [type(value).__name__, [self.value(item) for item in value]]
            case set() | frozenset():
                return [type(value).__name__, sorted(repr(self.value(item)) for item in value)]
            case dict():
                pairs = [(repr(self.value(k)), self.value(v)) for k, v in value.items()]
                return ["dict", sorted(pairs, key=lambda pair: pair[0])]
            case ModuleType():
                return self._module(value)
            case type():
                return self._class(value)
            case re.Pattern():
                return ["pattern", value.pattern, value.flags]
        if callable(value) and isinstance(target := self._outermost(value), FunctionType):
            return self.function(target) if self._in_repo(target) else _name(value)
        if self._in_repo(type(value)):
            return self._instance(value)
        return _foreign(value)

    def _outermost(self, function: Any) -> Any:
        """The function itself, or the function inside a library's wrapper, such as a cache."""
        if isinstance(function, FunctionType) and self._in_repo(function):
            return function
        return inspect.unwrap(function)

    def _instance(self, value: Any) -> Any:
        """An object of one of the repo's classes: the class and its attributes."""
        if not hasattr(value, "__dict__"):
            raise _NotWalkableError
        if id(value) in self._visited:
            return ["seen", type(value).__qualname__]
        self._visited.add(id(value))
        return ["instance", self._class(type(value)), self.value(vars(value))]

    def _class(self, cls: type) -> Any:
        if not self._in_repo(cls):
            return ["class", f"{cls.__module__}.{cls.__qualname__}"]
        if id(cls) in self._visited:
            return ["seen", cls.__qualname__]
        self._visited.add(id(cls))
        members = []
        for name, member in sorted(vars(cls).items()):
            match member:
                case staticmethod() | classmethod():
                    members.append([name, self.value(member.__func__)])
                case property():
                    members.append([name, self.value([member.fget, member.fset])])
                case FunctionType():
                    members.append([name, self.function(member)])
                case _ if not name.startswith("__"):
                    members.append([name, self.value(member)])
        return ["class", self._syntax(cls), [self._class(base) for base in cls.__bases__], members]

    def _module(self, module: ModuleType) -> Any:
        """The file and imports of a repo's module; the name of any other module."""
        file = module.__file__ if self._of_repo(module) else None
        if file is None:
            return ["module", module.__name__]
        if id(module) in self._visited:
            return ["seen", module.__name__]
        self._visited.add(id(module))
        inner = [
            [name, self._module(value)]
            for name, value in sorted(vars(module).items())
            if isinstance(value, ModuleType)
        ]
        parts = ["module", _sha256(_file_syntax(Path(file))), inner]
        package = getattr(module, "__package__", None) or ""
        imported = self._imported(imports_of_file(ast.parse(Path(file).read_bytes()), package))
        return [*parts, imported] if imported else parts

    def _imported(self, names: Iterable[str]) -> list[Any]:
        """The repo's modules among these names that were not reached before."""
        found = []
        for name in sorted(names):
            module = sys.modules.get(name)
            if module is None:
                # Imported in a branch that did not run.
                file = self._repo.joinpath(*name.split("."))
                paths = (file.with_suffix(".py"), file / "__init__.py")
                found += [[name, _sha256(_file_syntax(p))] for p in paths if p.is_file()]
            elif id(module) not in self._visited and self._of_repo(module):
                found.append([name, self._module(module)])
        return found

    def _of_repo(self, module: ModuleType) -> bool:
        file = getattr(module, "__file__", None)
        return file is not None and Path(file).resolve().is_relative_to(self._repo)

    def _in_repo(self, value: Any) -> bool:
        try:
            file = inspect.getsourcefile(value)
        except TypeError:
            return False
        return file is not None and Path(file).resolve().is_relative_to(self._repo)

    def _syntax(self, value: Any) -> str:
        if getattr(value, "__name__", "") == "<lambda>":
            return _lambda_syntax(value.__code__)
        try:
            # The code, not the function: getsource would look through a wrapper.
            source = inspect.getsource(getattr(value, "__code__", value))
            return repr(syntax(ast.parse(textwrap.dedent(source))))
        except (OSError, TypeError, SyntaxError) as error:
            raise _NotWalkableError from error


def _name(value: Any) -> Any:
    return ["foreign", f"{getattr(value, '__module__', '')}.{value.__qualname__}"]


def _foreign(value: Any) -> Any:
    """An object of a library: its name, or its ``repr`` if that is complete and stable."""
    if callable(value) and hasattr(value, "__qualname__"):
        return _name(value)
    text = repr(value)
    if " at 0x" in text or "..." in text:  # an address, or cut short
        raise _NotWalkableError
    return ["foreign", type(value).__qualname__, text]


def _names(code: CodeType) -> Iterable[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _lambda_syntax(code: CodeType) -> str:
    """Find a lambda in its file by line: its stored source may contain other code."""
    try:
        tree = ast.parse(Path(code.co_filename).read_bytes())
    except (OSError, SyntaxError) as error:
        raise _NotWalkableError from error
    found = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Lambda) and node.lineno == code.co_firstlineno
    ]
    if len(found) != 1:
        raise _NotWalkableError
    return repr(syntax(found[0]))


def _file_syntax(path: Path) -> str:
    try:
        return repr(syntax(ast.parse(path.read_bytes())))
    except (OSError, SyntaxError) as error:
        raise _NotWalkableError from error


def _whole_repo(repo: Path) -> str:
    from feast.repo_operations import get_repo_files

    files = [
        (str(file.relative_to(repo)), hashlib.sha256(file.read_bytes()).hexdigest())
        for file in get_repo_files(repo)
    ]
    return _sha256(repr(files))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
