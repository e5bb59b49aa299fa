"""Lets another tool write to a feature store, or asks Feast what it serves: WRITE or no argument.

`Zygote.script` runs this file in the folder of a repo, where Feast is imported already.
"""

import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

REQUEST: Final = {"driver_id": 1001, "origin_id": 1002, "dest_id": 1001, "hour": 5}


def retrieved(store: Any) -> dict[str, Any]:
    """What Feast answers for the champion's service, or the class of its error."""
    try:
        service = store.get_feature_service("svc_a")
        answer = store.get_online_features(service, [REQUEST], full_feature_names=True).to_dict()
    except Exception as error:  # noqa: BLE001
        return {"error": type(error).__name__}
    return {name: value for name, (value,) in answer.items() if name not in REQUEST}


def offline(store: Any) -> None:
    view = store.get_feature_view("stats")
    view.online = False
    store.apply([view])


def disabled(store: Any) -> None:
    view = store.get_feature_view("stats")
    view.enabled = False
    store.apply([view])


def killed(store: Any) -> None:
    """A materialization dies while Feast writes to the online store."""
    child = os.fork()
    if child == 0:
        online = type(store._get_provider().online_store)
        online.online_write_batch = lambda *_, **__: os._exit(9)
        materialized(store)
        os._exit(1)  # nothing was written
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def materialized(store: Any) -> None:
    now = datetime.now(UTC)
    store.materialize(now - timedelta(days=1), now, ["stats"])


def without_service(store: Any) -> None:
    store.delete_feature_service("svc_a")


def without_entity(store: Any) -> None:
    store.registry.delete_entity("driver", store.project)


WRITES: Final[dict[str, Callable[[Any], None]]] = {
    "offline": offline,
    "disabled": disabled,
    "killed": killed,
    "materialized": materialized,
    "without service": without_service,
    "without entity": without_entity,
}


def main(*writes: str) -> None:
    from feast import FeatureStore

    store = FeatureStore(repo_path=".")
    for write in writes:
        WRITES[write](store)
    print(json.dumps({} if writes else retrieved(store)))


if __name__ == "__main__":
    main(*sys.argv[1:])
