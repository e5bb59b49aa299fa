"""What Python source means, apart from how it is written.

Shared by the snapshot (stored functions) and by closures (live ones), so that both are blind to the
same things: comments, blanks, line breaks, quotes, and the Python version.
"""

import ast
import hashlib
import textwrap
from typing import Any


def code_digest(text: str) -> str:
    """Digest of source code, blind to comments, blanks, line breaks and quotes."""
    try:
        text = repr(syntax(ast.parse(textwrap.dedent(text))))
    except (SyntaxError, ValueError):  # such as a lambda cut out of a call
        text = "\n".join(line.rstrip() for line in text.strip().splitlines())
    return hashlib.sha256(text.encode()).hexdigest()


def syntax(node: Any) -> Any:
    """A syntax tree as plain lists that Python 3.10 to 3.13 agree on; ``ast.dump`` they do not."""
    if isinstance(node, ast.AST):
        fields = (
            (name, getattr(node, name, None))
            for name in node._fields
            if name not in ("ctx", "kind", "type_comment", "type_params")
        )
        return [type(node).__name__, [[n, syntax(v)] for n, v in fields if v not in (None, [])]]
    return [syntax(item) for item in node] if isinstance(node, list) else repr(node)
