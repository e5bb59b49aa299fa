"""A project and its models at one moment, with plain statuses."""

from datetime import UTC, datetime, timedelta
from typing import Any

from feature_lineage.api import FeatureStoreProject, TrainedModel
from feature_lineage.features.snapshot import RegistrySnapshot

NOW = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


def at(**ago: float) -> str:
    """RFC 3339 time, this long before `NOW`."""
    return f"{NOW - timedelta(**ago):%Y-%m-%dT%H:%M:%SZ}"


def condition(type_: str, status: str, reason: str, **ago: float) -> dict[str, Any]:
    return {"type": type_, "status": status, "reason": reason, "lastTransitionTime": at(**ago)}


def project(
    name: str = "ranking",
    *,
    namespace: str = "ml",
    feast_project: str = "driver_ranking",
    spec: dict[str, Any] | None = None,
    **status: Any,
) -> FeatureStoreProject:
    return FeatureStoreProject.model_validate(
        {
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "project": feast_project,
                "source": {
                    "git": {"url": "https://git.example/repo.git", "ref": {"branch": "main"}}
                },
                **(spec or {}),
            },
            "status": status,
        }
    )


def model(
    name: str = "champion",
    *,
    namespace: str = "ml",
    model_name: str = "driver_model",
    spec: dict[str, Any] | None = None,
    **status: Any,
) -> TrainedModel:
    return TrainedModel.model_validate(
        {
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "projectRef": {"name": "ranking"},
                "model": {"name": model_name, "alias": "champion"},
                **(spec or {}),
            },
            "status": status,
        }
    )


def lineage(*views: str, verdict: str = "Verified", **more: Any) -> dict[str, Any]:
    return {
        "featureViews": list(views),
        "featureViewsTotal": len(views),
        "verdict": verdict,
        "verdictSince": at(hours=2),
        **more,
    }


def snapshot(*views: str, on_demand: dict[str, str] | None = None) -> RegistrySnapshot:
    """A registry of views that are served online, and on-demand views over one of them each."""
    return RegistrySnapshot(
        "driver_ranking",
        {
            "feature_view": {
                view: {"online": True, "batch_source": {"name": "stats"}} for view in views
            },
            "on_demand_feature_view": {
                name: {
                    "sources": {source: {"feature_view_projection": {"feature_view_name": source}}}
                }
                for name, source in (on_demand or {}).items()
            },
        },
    )
