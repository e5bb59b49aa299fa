"""Lists what an image contains, as a CycloneDX document: runs in the image, in a later stage.

``python sbom.py IMAGE FILE [ROOT]`` writes the document. Its components are each installed Python
distribution, each package of dpkg, and a Python that is no package of dpkg.
"""

import os
import platform
import sys
from collections.abc import Iterator
from email.parser import HeaderParser
from importlib.metadata import PathDistribution
from pathlib import Path

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, License, LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

OURS = "feature-lineage-operator"
NOT_OF_THE_IMAGE = {"dev", "proc", "run", "sys", "tmp", "tools"}
"""Folders that the kernel fills, that a pod mounts, or that only the build has."""
MAX_LICENSE_NAME = 100
"""Some distributions have the text of their license where others have its name."""


def bill_of_materials(image: str, root: Path) -> str:
    packages = list(debian_packages(root))
    installed = list(distributions(root))
    version = next(part.version for part in installed if part.name == OURS)
    whole = Component(type=ComponentType.CONTAINER, name=image, version=version, bom_ref=image)
    parts = [*packages, *installed]
    if not any(package.name.startswith("python3") for package in packages):
        parts.append(_component("generic", "python", platform.python_version()))
    document = Bom(components=parts)
    document.metadata.component = whole
    document.register_dependency(whole, parts)
    return JsonV1Dot6(document).output_as_string(indent=1)


def distributions(root: Path) -> Iterator[Component]:
    """Yield each installed distribution; one that is installed twice with one version, once."""
    found = {}
    for folder in _metadata_folders(root):
        distribution = PathDistribution(folder)
        name = distribution.name.lower().replace("_", "-")
        found[name, distribution.version] = _license(distribution)
    for (name, version), known in sorted(found.items()):
        yield _component("pypi", name, version, licenses=known)


def debian_packages(root: Path) -> Iterator[Component]:
    """Yield each package that dpkg has installed."""
    release = _os_release(root)
    status = (root / "var/lib/dpkg/status").read_text(encoding="utf-8")
    for stanza in status.split("\n\n"):
        fields = HeaderParser().parsestr(stanza)
        if fields.get("Status", "").endswith(" installed"):
            yield _component(
                "deb",
                fields["Package"],
                fields["Version"],
                namespace=release.get("ID", "debian"),
                qualifiers={
                    "arch": fields["Architecture"],
                    "distro": f"{release.get('ID', 'debian')}-{release.get('VERSION_ID', '')}",
                },
            )


def _metadata_folders(root: Path) -> Iterator[Path]:
    for at, folders, _ in os.walk(root):
        if Path(at) == root:
            folders[:] = sorted(set(folders) - NOT_OF_THE_IMAGE)
        for name in folders:
            folder = Path(at, name)
            # egg-info without PKG-INFO is a folder of a checkout.
            if name.endswith(".dist-info") or (folder / "PKG-INFO").is_file():
                yield folder


def _license(distribution: PathDistribution) -> list[License]:
    fields = distribution.metadata
    if expression := fields.get("License-Expression"):
        return [LicenseExpression(expression)]
    name = fields.get("License", "").strip()
    if 0 < len(name) <= MAX_LICENSE_NAME and "\n" not in name:
        return [DisjunctiveLicense(name=name)]
    return []


def _component(
    kind: str,
    name: str,
    version: str,
    *,
    namespace: str | None = None,
    qualifiers: dict[str, str] | None = None,
    licenses: list[License] | None = None,
) -> Component:
    url = PackageURL(kind, namespace, name, version, qualifiers)
    return Component(
        type=ComponentType.LIBRARY,
        name=name,
        version=version,
        purl=url,
        bom_ref=url.to_string(),
        licenses=licenses,
    )


def _os_release(root: Path) -> dict[str, str]:
    lines = (root / "etc/os-release").read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {name: value.strip("\"'") for name, _, value in pairs}


if __name__ == "__main__":
    image, file, *root = sys.argv[1:]
    Path(file).write_text(bill_of_materials(image, Path(*(root or ["/"]))), encoding="utf-8")
