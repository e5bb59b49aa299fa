"""Which dollars of a feature_store.yaml are variables without a value."""

import pytest

from feature_lineage.runner.variables import unset_variables


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("${REGISTRY}", ["REGISTRY"]),
        ("data/${lower_case}/registry.db", ["lower_case"]),
        ("$HOME_OF_FEAST/registry.db", ["HOME_OF_FEAST"]),
        ("postgresql://$A_USER:$A_WORD@$A_HOST:${PORT}/db", ["A_USER", "A_WORD", "A_HOST", "PORT"]),
        ("$$NAME", []),
        ("pa$word", []),
        ("pa$WORD", []),
        ("postgresql://u:pa$WORD@h/db", []),
        ("costs 5$ or $5", []),
        ("$", []),
        ("-Dlog=${spark.app.id} ${env:X} ${}", []),
    ],
)
def test_variables_are_told_from_other_dollars(text: str, names: list[str]) -> None:
    assert list(unset_variables({"a": [{"b": text}, 1, None]})) == names
