"""Finds variables of feature_store.yaml that have no value.

Feast expands ``$NAME`` and ``${NAME}`` with `os.path.expandvars` and keeps the text of a variable
that is not set, so that it becomes the name of a folder, a host or a user.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

_VARIABLE: Final = re.compile(
    r"\$\{(?P<braces>[A-Za-z_][A-Za-z0-9_]*)\}|(?:(?<=[/:@,?=&])|^)\$(?P<part>[A-Z_][A-Z0-9_]*)(?=[/:@,?&]|$)",
    re.ASCII,
)
"""``${NAME}`` anywhere; ``$NAME`` in capitals where it is a whole part of a path or an address.

Any other dollar is text, as for Feast: a password may contain one, and ``${spark.app.id}`` is for
Spark.
"""


def unset_variables(value: Any) -> Iterator[str]:
    """Names of variables that are left in the texts of an expanded file, at any depth."""
    if isinstance(value, dict):
        for item in value.values():
            yield from unset_variables(item)
    elif isinstance(value, list):
        for item in value:
            yield from unset_variables(item)
    elif isinstance(value, str):
        for found in _VARIABLE.finditer(value):
            yield found["part"] if found["braces"] is None else found["braces"]
