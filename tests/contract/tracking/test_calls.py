"""Every call of the client on a real server: MLflow has the call, and it means what we expect."""

import pytest
from tests.contract.tracking.conftest import Rest, unique

from feature_lineage.errors import NotFound, RequestRejected
from feature_lineage.tracking import parsing
from feature_lineage.tracking.client import MLflowClient, quoted


async def test_search_models_pages_by_name(client: MLflowClient, rest: Rest) -> None:
    names = {rest.model() for _ in range(3)}
    found, token = await client.search_models(page_size=1)
    while token:
        page, token = await client.search_models(page_size=1, token=token)
        assert len(page) == 1
        found += page

    assert names <= {model.name for model in found}
    assert len({model.name for model in found}) == len(found)


async def test_search_versions_orders_and_filters(client: MLflowClient, rest: Rest) -> None:
    name = rest.model()
    for _ in range(11):
        rest.version(name)
    named = f"name = {quoted(name)}"

    by_name, token = await client.search_versions(
        order_by=["name ASC", "version_number ASC"], filter_string=named, page_size=10
    )
    newest, _ = await client.search_versions(
        order_by=["last_updated_timestamp DESC", "version_number DESC"],
        filter_string=named,
        page_size=2,
    )

    assert [row.version.version for row in by_name] == [str(i) for i in range(1, 11)]
    assert token
    assert [row.version.version for row in newest] == ["11", "10"]


@pytest.mark.parametrize("part", ["it's", 'a "model"', "' OR name LIKE '%"])
async def test_a_quote_in_a_name_does_not_end_the_filter(
    client: MLflowClient, rest: Rest, part: str
) -> None:
    name, other = rest.model(unique(part)), rest.model()
    for each in (name, other):
        rest.version(each)

    found, _ = await client.search_versions(
        order_by=["name ASC"], filter_string=f"name = {quoted(name)}", page_size=10
    )

    assert [row.version.name for row in found] == [name]


def test_a_name_with_both_kinds_of_quotes_is_refused() -> None:
    with pytest.raises(RequestRejected, match="both kinds of quotes"):
        quoted('it\'s "a" model')


async def test_tags_and_aliases_do_not_move_last_updated(client: MLflowClient, rest: Rest) -> None:
    """Why full reads exist at all; a server that changes this makes them cheaper."""
    name = rest.model()
    rest.version(name)
    before = await client.get_version(name, "1")
    rest.set_tag(name, "1", "feast.project", "p")
    rest.alias(name, "champion", "1")

    after = await client.get_version(name, "1")
    assert after.version.tags == {"feast.project": "p"}
    assert after.updated_ms == before.updated_ms


async def test_get_version(client: MLflowClient, rest: Rest) -> None:
    name = rest.model()
    rest.version(name)

    assert (await client.get_version(name, "1")).version.name == name
    for missing in ((name, "2"), (name + "x", "1")):
        with pytest.raises(NotFound):
            await client.get_version(*missing)


async def test_logged_model_run(client: MLflowClient, rest: Rest) -> None:
    experiment = rest.experiment()
    run_id = rest.run(experiment)

    assert await client.logged_model_run(rest.logged_model(experiment, run_id)) == run_id
    assert await client.logged_model_run(rest.logged_model(experiment, None)) == ""
    with pytest.raises(NotFound):
        await client.logged_model_run("m-" + "0" * 32)


async def test_experiment_ids_include_deleted_ones(client: MLflowClient, rest: Rest) -> None:
    kept, deleted = rest.experiment(), rest.experiment()
    rest.post("experiments/delete", experiment_id=deleted)

    assert {kept, deleted} <= set(await client.experiment_ids())


async def test_experiments_by_name(client: MLflowClient, rest: Rest) -> None:
    name = unique("exp-ü")
    with pytest.raises(NotFound):
        await client.experiment(name)
    experiment = await client.create_experiment(name)
    assert await client.experiment(name) == (experiment, False)
    with pytest.raises(RequestRejected) as error:
        await client.create_experiment(name)
    assert error.value.error_code == "RESOURCE_ALREADY_EXISTS"

    rest.post("experiments/delete", experiment_id=experiment)
    assert await client.experiment(name) == (experiment, True)
    with pytest.raises(RequestRejected) as error:
        await client.create_experiment(name)
    assert error.value.error_code == "RESOURCE_ALREADY_EXISTS"


async def test_runs_are_created_filled_finished_and_deleted(
    client: MLflowClient, rest: Rest
) -> None:
    experiment = rest.experiment()
    run = await client.create_run(experiment, "name", 1000, {"featurelineage.io/x": "é"})
    run_id = run["info"]["run_id"]
    metric = {"key": "m", "value": 1.5, "timestamp": 5, "step": 0}
    for _ in range(2):
        await client.log_batch(run_id, tags={"t": "1"}, params={"p": "2"}, metrics=[metric])
    await client.finish_run(run_id, "FAILED", 2000)
    found, _ = await client.search_runs([experiment], "tags.`featurelineage.io/x` = 'é'")

    assert [raw["info"]["status"] for raw in found] == ["FAILED"]
    assert (found[0]["info"]["start_time"], found[0]["info"]["end_time"]) == (1000, 2000)
    assert parsing.pairs(found[0]["data"]["params"]) == {"p": "2"}
    history = rest.call("GET", "metrics/get-history", run_id=run_id, metric_key="m")
    assert len(history["metrics"]) == 1

    for _ in range(2):
        await client.delete_run(run_id)
    assert (await client.search_runs([experiment], "", deleted_too=False))[0] == []
    assert len((await client.search_runs([experiment], ""))[0]) == 1


async def test_search_runs_pages(client: MLflowClient, rest: Rest) -> None:
    experiment = rest.experiment()
    ids = {rest.run(experiment) for _ in range(3)}
    found, token = await client.search_runs([experiment], "", page_size=2)
    more, end = await client.search_runs([experiment], "", page_size=2, token=token)

    assert {raw["info"]["run_id"] for raw in found + more} == ids
    assert end == ""


async def test_search_runs_takes_500_ids_at_once(client: MLflowClient, rest: Rest) -> None:
    experiment = rest.experiment()
    ids = [rest.run(experiment), *(f"{i:032x}" for i in range(499))]
    wanted = ", ".join(quoted(run_id) for run_id in ids)

    found, _ = await client.search_runs([experiment], f"attributes.run_id IN ({wanted})")
    assert [raw["info"]["run_id"] for raw in found] == ids[:1]


async def test_search_runs_finds_nothing_without_experiments(
    client: MLflowClient, rest: Rest
) -> None:
    """Why all experiments are listed first."""
    run_id = rest.run(rest.experiment())

    assert await client.search_runs([], f"attributes.run_id IN ('{run_id}')") == ([], "")


async def test_artifacts_go_up_and_down(client: MLflowClient, rest: Rest) -> None:
    run = await client.create_run(rest.experiment(), "name", 0, {})
    run_id, uri = run["info"]["run_id"], run["info"]["artifact_uri"]
    for content in (b"one", b"two" * 1_000_000):
        await client.upload(run_id, uri, "deep er/ü.json", content)
        assert await client.download(run_id, "deep er/ü.json") == content
    with pytest.raises(NotFound):
        await client.download(run_id, "none.json")
    with pytest.raises(RequestRejected) as error:
        await client.download(run_id, "deep er/ü.json", max_bytes=1000)
    assert error.value.error_code == "ANSWER_TOO_LARGE"


async def test_a_missing_alias_is_a_rejection_not_a_404(client: MLflowClient, rest: Rest) -> None:
    """Why aliases are read from the list of models: a missing alias is simply not in that list."""
    name = rest.model()
    with pytest.raises(RequestRejected) as error:
        await client._get("registered-models/alias", {"name": name, "alias": "champion"})

    assert error.value.error_code == "INVALID_PARAMETER_VALUE"
