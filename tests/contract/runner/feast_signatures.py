"""Prints what Feast itself asks for and answers, for each service of a repo: REPO

Run in a process of its own: the import of feast takes seconds and changes its process.
"""

import json
import sys
from typing import Any

from feast import FeatureStore, utils

from feature_lineage.runner.made_up_store import MadeUpStore, sample


def main(repo: str) -> None:
    store = FeatureStore(repo_path=repo)
    found = {}
    for service in store.list_feature_services():
        context = utils._get_online_request_context(store.registry, store.project, service, True)
        entities = {entity.name: entity for entity in store.list_entities()}
        keys: dict[str, str] = {}
        for view, _ in context[5]:
            for name in set(view.entities) & entities.keys():
                entity = entities[name]
                keys[view.projection.join_key_map.get(entity.join_key, entity.join_key)] = (
                    entity.value_type.name
                )
        request: dict[str, Any] = {}
        for view in context[1]:
            request |= view.get_request_data_schema()
        row = {key: sample(context[3][key]) for key in keys}
        row |= {name: sample(value_type) for name, value_type in request.items()}
        answer = MadeUpStore().get_online_features(
            store.config, service, [row or {"": 1}], store.registry, store.project, True
        )
        columns = [name for name in answer.to_dict() if name not in row]
        types = {name: value_type.name for name, value_type in request.items()}
        found[service.name] = {"keys": keys, "request": types, "columns": columns}
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
