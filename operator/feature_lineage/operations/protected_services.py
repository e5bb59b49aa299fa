"""The feature services that are protected without a model.

A service is protected by its own tag or by the globs of the project. What counts is the registry in
force: its tags, and the globs with which it was applied. So a commit cannot remove a service
together with its protection; the protection goes first, in an apply of its own.
"""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Final

from feature_lineage.api.project_spec import ServiceFilter
from feature_lineage.features.services import service_refs
from feature_lineage.features.signatures import signature_of
from feature_lineage.features.snapshot import JsonObject, RegistrySnapshot, canonical_json
from feature_lineage.features.views import mapping, text
from feature_lineage.operations.protection import GuardedModel
from feature_lineage.untrusted import parse_json

PROTECTED_TAG: Final = "featurelineage.io/protected"
"""Tag of a feature service in the repo: "true" protects it."""
_VALUES: Final = {"true": True, "false": False}


def protected_services(
    snapshot: RegistrySnapshot, spec: ServiceFilter | None, record: str | None = None
) -> tuple[str, ...]:
    """Names of the protected services of a registry, sorted.

    Args:
        snapshot: the registry in force.
        spec: the globs of the project as they are now.
        record: the globs with which the registry was applied, as `record_of` writes them; None if
            this operator did not apply it.
    """
    # Without globs, the services with the tag are protected.
    globs = (spec,) if record is None else (spec, _recorded(record))
    return tuple(
        sorted(
            name
            for name, service in _services(snapshot).items()
            if any(_selected(name, service, each) for each in globs)
        )
    )


def guarded_services(snapshot: RegistrySnapshot, names: Iterable[str]) -> tuple[GuardedModel, ...]:
    """The services as they are in force, to be compared like a model that was trained on them."""
    return tuple(_guarded(snapshot, name) for name in names)


def service_warnings(
    current: RegistrySnapshot, desired: RegistrySnapshot, spec: ServiceFilter | None
) -> Iterator[str]:
    """Protection that protects nothing: a glob without a service, a tag with another value."""
    names = {*_services(current), *_services(desired)}
    for glob in spec.include if spec is not None else ():
        if not any(fnmatchcase(name, glob) for name in names):
            near = get_close_matches(glob, sorted(names), 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            yield (
                f"apply.protection.services.include: {glob!r} matches no feature service, so it "
                f"protects nothing until there is one{hint}"
            )
    for name, service in sorted(_services(desired).items()):
        value = _tag(service)
        if value and value.lower() not in _VALUES:
            yield (
                f"feature service {name!r} is not protected: its tag {PROTECTED_TAG} is "
                f'{value[:40]!r}; write "true"'
            )


def record_of(spec: ServiceFilter | None) -> str:
    """The globs as text for the registry; "" if the spec has none."""
    return canonical_json(spec.as_dict()) if spec is not None else ""


def _recorded(record: str) -> ServiceFilter | None:
    """The globs of a record; None if there are none, or if another tool wrote the text."""
    try:
        return ServiceFilter.model_validate(parse_json(record.encode())) if record else None
    except ValueError:
        return None


def _guarded(snapshot: RegistrySnapshot, name: str) -> GuardedModel:
    refs = service_refs(snapshot, name) or ()
    return GuardedModel("", "", (), name, (), refs, signature_of(snapshot, name, refs))


def _services(snapshot: RegistrySnapshot) -> Mapping[str, JsonObject]:
    return snapshot.objects.get("feature_service", {})


def _selected(name: str, service: JsonObject, names: ServiceFilter | None) -> bool:
    tagged = _VALUES.get(_tag(service).lower(), False)
    if names is None:
        return tagged
    included = tagged or any(fnmatchcase(name, glob) for glob in names.include)
    return included and not any(fnmatchcase(name, glob) for glob in names.exclude)


def _tag(service: JsonObject) -> str:
    return text(mapping(service.get("tags")).get(PROTECTED_TAG)).strip()
