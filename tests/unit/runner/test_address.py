"""One registry has one id, and secrets are found in every place."""

from pathlib import Path

import pytest

from feature_lineage.runner.address import hosts_with, registry_id, secrets_in

REPO = Path("/repos/one")


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("file", "data/registry.db", "./data/../data/registry.db"),
        ("file", "data/registry.db", "/repos/one/data/registry.db"),
        ("file", "data/registry.db", "file:///repos/one/data/registry.db"),
        ("sql", "postgresql+psycopg://a:b@Host/d", "postgresql://c:d@host:5432/d?sslmode=require"),
        ("sql", "sqlite:///data/r.sqlite", "sqlite:////repos/one/data/r.sqlite"),
        ("file", "s3://bucket/r.pb", "s3://key@bucket/r.pb"),
    ],
)
def test_one_registry_one_id(kind: str, one: str, other: str) -> None:
    assert registry_id(kind, one, REPO) == registry_id(kind, other, REPO)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("file", "data/a.db"), ("file", "data/b.db")),
        (("sql", "postgresql://h/d"), ("sql", "postgresql://h/e")),
        (("sql", "postgresql://h/d"), ("sql", "postgresql://h:5433/d")),
        (("file", "s3://bucket/r.pb"), ("file", "gs://bucket/r.pb")),
    ],
)
def test_two_registries_two_ids(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert registry_id(*one, REPO) != registry_id(*other, REPO)


def test_secrets_are_found() -> None:
    config = {
        "registry": {"path": "postgresql://user:p%40ssword@host/d"},
        "online_store": [{"password": "open-sesame", "user": "somebody", "port": 5432}],
        "aws_secret_access_key": "AKIA-long",
        "token": "abc",
        "url": "http://[broken",
    }

    assert secrets_in(config) == ("open-sesame", "p%40ssword", "AKIA-long", "p@ssword")


def test_hosts_that_contain_a_secret_are_found() -> None:
    config = {
        "registry": {"path": "postgresql://feast:feast@Feast-db.feast.svc:5432/feast"},
        "online_store": [{"password": "feast", "host": "feast"}, {"host": "db-feast:5432"}],
        "offline_store": {"host": "other", "database": "feast_prod", "path": "data/feast.db"},
    }

    assert secrets_in(config) == ("feast",)
    assert hosts_with(secrets_in(config), config) == ("Feast-db.feast.svc", "db-feast")
