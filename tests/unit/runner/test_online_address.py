"""The identity of an online store: where it is, and nothing else."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from feature_lineage.runner.online_address import online_store_id

REPO = Path("/repo")
SQLITE = {"type": "sqlite", "path": "data/online.db"}
POSTGRES = {
    "type": "postgres", "host": "db", "port": 5432, "database": "feast", "db_schema": "public",
    "user": "u", "password": "old", "min_conn": 1, "sslmode": "require", "sslrootcert_path": "a",
    "conn_type": None,
}  # fmt: skip
REDIS = {
    "type": "redis", "connection_string": "redis:6379,ssl=true,password=old,db=1",
    "key_ttl_seconds": None,
}  # fmt: skip
MONGODB = {"type": "mongodb", "connection_string": "mongodb://u:old@a,b/feast?retryWrites=true"}
CASSANDRA = {"type": "cassandra", "hosts": ["a", "b"], "keyspace": "feast", "password": "old"}
HYBRID = {"type": "hybrid", "online_stores": [{"type": "sqlite", "conf": {"path": "a.db"}}]}
OWN = {"type": "our.stores.OurStore", "shelf": "left", "token": "old"}


def identity(values: dict[str, Any], version: int = 3) -> str:
    store = SimpleNamespace(**values)
    config = SimpleNamespace(online_store=store, entity_key_serialization_version=version)
    return online_store_id(config, REPO)


@pytest.mark.parametrize(
    ("store", "change"),
    [
        pytest.param(SQLITE, {"path": "/repo/data/../data/online.db"}, id="the same file"),
        pytest.param(POSTGRES, {"password": "new", "user": "v"}, id="a credential"),
        pytest.param(POSTGRES, {"min_conn": 4, "sslmode": "disable"}, id="how to connect"),
        pytest.param(POSTGRES, {"sslrootcert_path": "b", "sslcert_path": "c"}, id="a certificate"),
        pytest.param(
            REDIS, {"connection_string": "redis:6379,password=new,db=1"}, id="a Redis password"
        ),
        pytest.param(POSTGRES, {"conn_type": "pool", "max_conn": 9}, id="a pool"),
        pytest.param(REDIS, {"key_ttl_seconds": 60}, id="a TTL"),
        pytest.param(MONGODB, {"vector_index_wait_poll_interval": 9}, id="how long to wait"),
        pytest.param(
            MONGODB, {"connection_string": "mongodb://u:n#/?w@a,b/feast"}, id="an odd password"
        ),
        pytest.param(
            MONGODB, {"connection_string": "mongodb://u:new@a,b/feast"}, id="a password in a URL"
        ),
        pytest.param(OWN, {"token": "new"}, id="a token of an own store"),
    ],
)
def test_a_store_that_stays(store: dict[str, Any], change: dict[str, Any]) -> None:
    assert identity({**store, **change}) == identity(store)


@pytest.mark.parametrize(
    ("store", "change"),
    [
        pytest.param(SQLITE, {"path": "data/other.db"}, id="another file"),
        pytest.param(POSTGRES, {"host": "db2"}, id="another host"),
        pytest.param(POSTGRES, {"port": 5433}, id="another port"),
        pytest.param(POSTGRES, {"database": "feast2"}, id="another database"),
        pytest.param(POSTGRES, {"db_schema": "other"}, id="another schema"),
        pytest.param(POSTGRES, {"type": "mysql"}, id="another type"),
        pytest.param(
            REDIS, {"connection_string": "redis:6379,ssl=true,password=old,db=2"}, id="Redis db"
        ),
        pytest.param(REDIS, {"connection_string": "other:6379,db=1"}, id="another Redis"),
        pytest.param(
            MONGODB, {"connection_string": "mongodb://u:old@a,c/feast"}, id="another replica set"
        ),
        pytest.param(
            MONGODB, {"connection_string": "mongodb://u:n#/?w@a,c/feast"}, id="an odd password"
        ),
        pytest.param(CASSANDRA, {"hosts": ["a", "c"]}, id="another host of several"),
        pytest.param(CASSANDRA, {"keyspace": "feast2"}, id="another keyspace"),
        pytest.param(
            HYBRID,
            {"online_stores": [{"type": "sqlite", "conf": {"path": "b.db"}}]},
            id="a store within a store",
        ),
        pytest.param(OWN, {"shelf": "right"}, id="an own store"),
    ],
)
def test_a_store_that_moves(store: dict[str, Any], change: dict[str, Any]) -> None:
    assert identity({**store, **change}) != identity(store)


@pytest.mark.parametrize("address", ["http://u:s3cr\u2100tpw@h:80", "http://[h", "://"])
def test_an_address_that_is_no_url_has_an_identity(address: str) -> None:
    assert identity({"type": "remote", "path": address}) != identity({"type": "remote"})


def test_keys_of_another_version_are_not_found() -> None:
    assert identity(SQLITE, version=2) != identity(SQLITE, version=3)


def test_no_store_has_no_identity() -> None:
    config = SimpleNamespace(online_store=None, entity_key_serialization_version=3)
    assert online_store_id(config, REPO) == ""
