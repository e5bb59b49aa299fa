"""Access to everything, as the platform's values and configuration spell it."""

from typing import Any, Final

from feature_lineage.tracking import AccessEntry

EVERYTHING: Final = {
    "namespaces": ["*"],
    "feastProjects": ["*"],
    "models": ["*"],
    "allow": ["Tags", "OpsRuns"],
}
ENTRIES: Final = (AccessEntry.model_validate(EVERYTHING),)


def opened(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration or chart values, with everything allowed that a test does not restrict."""
    servers = [{"access": [EVERYTHING], **each} for each in config.get("mlflowServers", ())]
    return {
        "allowAnyTrackingUri": "allowedTrackingUris" not in config,
        "allowAnyGitHost": "allowedGitHosts" not in config,
        **config,
        **({"mlflowServers": servers} if servers else {}),
    }


def entry(*allow: str, **globs: Any) -> AccessEntry:
    """An entry for everything that the globs do not restrict, with this allowed."""
    given = {name: [glob] if isinstance(glob, str) else glob for name, glob in globs.items()}
    return AccessEntry.model_validate({**EVERYTHING, "allow": list(allow), **given})
