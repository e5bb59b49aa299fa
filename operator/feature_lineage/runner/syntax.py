"""Digests Python source by its syntax tree, not by its text.

Shared by the snapshot (stored functions) and by closures (live ones), so that both ignore the
same differences: comments, blanks, line breaks, quotes, and the Python version.
"""

import ast
import hashlib
import textwrap
from typing import Any


def code_digest(text: str) -> str:
    """Digest of source code that ignores comments, blanks, line breaks and quotes.

    The decorator that makes the function a view is ignored, too: the snapshot holds its arguments
    (tags, owner, sources, schema), and they do not change the transformation.
    """
    try:
        tree = ast.parse(textwrap.dedent(text))
        for statement in tree.body:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
                statement.decorator_list = [
                    decorator
                    for decorator in statement.decorator_list
                    if not _makes_a_view(decorator)
                ]
        text = repr(syntax(tree))
    except (SyntaxError, ValueError):  # such as a lambda cut out of a call
        text = "\n".join(line.rstrip() for line in text.strip().splitlines())
    return hashlib.sha256(text.encode()).hexdigest()


def _makes_a_view(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    return str(name).endswith(("feature_view", "transformation"))


def syntax(node: Any) -> Any:
    """A syntax tree as plain lists that are equal in Python 3.10 to 3.13, unlike ``ast.dump``."""
    if isinstance(node, ast.AST):
        fields = (
            (name, getattr(node, name, None))
            for name in node._fields
            if name not in ("ctx", "kind", "type_comment", "type_params")
        )
        return [type(node).__name__, [[n, syntax(v)] for n, v in fields if v not in (None, [])]]
    return [syntax(item) for item in node] if isinstance(node, list) else repr(node)
