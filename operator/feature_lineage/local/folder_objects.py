"""Secrets and ConfigMaps of the manifest folder."""

from collections.abc import Iterable, Mapping

from feature_lineage.api import ConfigMap, FeatureStoreProject, Secret
from feature_lineage.api.pods import EnvVar
from feature_lineage.errors import NotFound
from feature_lineage.objects import ObjectKind, value_of
from feature_lineage.reasons import Reason


class FolderObjects:
    """`Objects` of the local host."""

    def __init__(self, objects: Iterable[Secret | ConfigMap] = ()) -> None:
        self._objects: dict[tuple[str, str, str], Mapping[str, bytes]] = {}
        self.replace(objects)

    def replace(self, objects: Iterable[Secret | ConfigMap]) -> None:
        """Replace all objects, after the files of the folder have changed."""
        self._objects = {
            (item.kind, item.metadata.namespace, item.metadata.name): item.contents()
            for item in objects
        }

    async def contents(self, kind: ObjectKind, namespace: str, name: str) -> Mapping[str, bytes]:
        """Keys and values of one object.

        Raises:
            NotFound: there is no such object.
        """
        found = self._objects.get((kind, namespace, name))
        if found is None:
            raise NotFound(
                f"{kind} {namespace}/{name} does not exist; add its manifest to the folder",
                reason=Reason.SECRET_NOT_FOUND,
            )
        return found

    async def environment(self, project: FeatureStoreProject) -> dict[str, str]:
        """Environment variables of a job, from `runtime.envFrom` and `runtime.env`.

        Raises:
            NotFound: a named object or key is missing and not optional.
        """
        namespace, runtime = project.metadata.namespace, project.spec.runtime
        environment: dict[str, str] = {}
        for source in runtime.env_from:
            kind: ObjectKind = "Secret" if source.secret_ref is not None else "ConfigMap"
            ref = source.secret_ref or source.config_map_ref
            assert ref is not None
            try:
                contents = await self.contents(kind, namespace, ref.name)
            except NotFound:
                if ref.optional:
                    continue
                raise
            prefix = source.prefix or ""
            environment |= {
                prefix + key: value.decode(errors="replace") for key, value in contents.items()
            }
        for variable in runtime.env:
            value = await self._variable(namespace, variable)
            if value is not None:
                environment[variable.name] = value
        return environment

    async def _variable(self, namespace: str, variable: EnvVar) -> str | None:
        if variable.value_from is None:
            return variable.value or ""
        source = variable.value_from
        kind: ObjectKind = "Secret" if source.secret_key_ref is not None else "ConfigMap"
        ref = source.secret_key_ref or source.config_map_key_ref
        if ref is None:
            return None  # fieldRef and resourceFieldRef are for pods; a local job has none
        try:
            return await value_of(self, kind, namespace, ref.name, ref.key)
        except NotFound:
            if ref.optional:
                return None
            raise
