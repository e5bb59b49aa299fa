"""The modules that code imports: those of a function's body, and those of a file.

A function may import its helper when it runs. The name of such a helper is in no global, so only
the import statement tells it.
"""

import ast
import dis
import importlib.util
from collections.abc import Iterator
from types import CodeType


def imports_of_code(code: CodeType) -> frozenset[str]:
    """Absolute names that the statements in a function's body import; ``from a import b``: both."""
    found: set[str] = set()
    module = ""
    for instruction in dis.get_instructions(code):
        if instruction.opname == "IMPORT_NAME":
            module = str(instruction.argval)
            found.add(module)
        elif instruction.opname == "IMPORT_FROM":
            found.add(f"{module}.{instruction.argval}")
        elif isinstance(instruction.argval, CodeType):
            found |= imports_of_code(instruction.argval)
    return frozenset(found)


def imports_of_file(tree: ast.AST, package: str) -> frozenset[str]:
    """Absolute names that a file imports anywhere.

    Args:
        package: of the file's module, for relative imports.
    """
    return frozenset(_imports(tree, package))


def _imports(tree: ast.AST, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                try:
                    module = importlib.util.resolve_name("." * node.level + module, package)
                except ImportError:
                    continue
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)
