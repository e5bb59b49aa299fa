"""Secrets leave what a job shows, and nothing else does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_lineage.runner.redaction import Redaction

WORDS = st.text("ab-", max_size=4)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "postgresql://feast:feast@feast-db.svc/d: no host feast-db.svc",
            "postgresql://***:***@feast-db.svc/d: no host feast-db.svc",
        ),
        ("feast-db is not feast-db.svc", "***-db is not feast-db.svc"),
        ("at feast-db.svc.feast-too", "at feast-db.***"),
        ("feastfeast-too", "******"),
        ("svc-too", "svc-too"),
    ],
)
def test_a_secret_stays_only_within_the_name_of_a_host(text: str, expected: str) -> None:
    redact = Redaction(["svc.feast-too", "feast-too", "feast", ""], ["feast-db.svc", ""])

    assert redact(text) == expected


@given(st.lists(WORDS, max_size=3), st.lists(WORDS, max_size=2), st.text("ab-*", max_size=12))
def test_every_secret_outside_of_hosts_is_hidden(
    secrets: list[str], hosts: list[str], text: str
) -> None:
    shown = Redaction(list(secrets), list(hosts))(text)

    left = [shown]
    for host in sorted(filter(None, hosts), key=len, reverse=True):
        left = [part for each in left for part in each.split(host)]
    assert not any(secret and secret in part for secret in secrets for part in left)
