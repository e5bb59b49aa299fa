"""Secrets and ConfigMaps of the manifest folder: what the API server would answer.

Values are looked up by name when needed, never cached elsewhere, logged or put in a status.
"""

from collections.abc import Iterable, Mapping

from feature_lineage.api import ConfigMap, FeatureStoreProject, Secret
from feature_lineage.api.pods import EnvVar
from feature_lineage.api.refs import KeySource
from feature_lineage.errors import NotFound


class Objects:
    """Read access to the core objects of a folder, replaced whole when its files change."""

    def __init__(self, objects: Iterable[Secret | ConfigMap] = ()) -> None:
        self._objects: dict[tuple[str, str, str], Mapping[str, bytes]] = {}
        self.replace(objects)

    def replace(self, objects: Iterable[Secret | ConfigMap]) -> None:
        self._objects = {
            (item.kind, item.metadata.namespace, item.metadata.name): item.contents()
            for item in objects
        }

    def contents(self, kind: str, namespace: str, name: str) -> Mapping[str, bytes]:
        """Every key of one object.

        Raises:
            NotFound: there is no such object.
        """
        found = self._objects.get((kind, namespace, name))
        if found is None:
            raise NotFound(
                f"{kind} {namespace}/{name} is not there; add its manifest to the folder",
                reason="SecretNotFound",
            )
        return found

    def value(self, kind: str, namespace: str, name: str, key: str) -> str:
        """One key, as text.

        Raises:
            NotFound: there is no such object, or it has no such key.
        """
        contents = self.contents(kind, namespace, name)
        if key not in contents:
            raise NotFound(f"{kind} {namespace}/{name} has no key {key}", reason="SecretNotFound")
        return contents[key].decode(errors="replace")

    def text(self, namespace: str, source: KeySource) -> str:
        """The text a `KeySource` points to."""
        if source.secret_key_ref is not None:
            reference, kind = source.secret_key_ref, "Secret"
        else:
            assert source.config_map_key_ref is not None
            reference, kind = source.config_map_key_ref, "ConfigMap"
        return self.value(kind, namespace, reference.name, reference.key)

    def environment(self, project: FeatureStoreProject) -> dict[str, str]:
        """`runtime.envFrom` and `runtime.env` as a process gets them.

        Raises:
            NotFound: a named object or key is missing and not optional.
        """
        namespace, runtime = project.metadata.namespace, project.spec.runtime
        environment: dict[str, str] = {}
        for source in runtime.env_from:
            for kind, ref in (("Secret", source.secret_ref), ("ConfigMap", source.config_map_ref)):
                if ref is None:
                    continue
                try:
                    contents = self.contents(kind, namespace, ref.name)
                except NotFound:
                    if ref.optional:
                        continue
                    raise
                prefix = source.prefix or ""
                environment |= {
                    prefix + key: value.decode(errors="replace") for key, value in contents.items()
                }
        for variable in runtime.env:
            value = self._variable(namespace, variable)
            if value is not None:
                environment[variable.name] = value
        return environment

    def _variable(self, namespace: str, variable: EnvVar) -> str | None:
        if variable.value_from is None:
            return variable.value or ""
        source = variable.value_from
        for kind, ref in (
            ("Secret", source.secret_key_ref),
            ("ConfigMap", source.config_map_key_ref),
        ):
            if ref is None:
                continue
            try:
                return self.value(kind, namespace, ref.name, ref.key)
            except NotFound:
                if ref.optional:
                    return None
                raise
        return None  # fieldRef and resourceFieldRef speak of pods, which a local job has none of
