"""`images/sbom.py` on a small root: what it names, and what it leaves out."""

import importlib.util
import json
import platform
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.images import CHECKOUT

STATUS = """\
Package: git
Status: install ok installed
Architecture: amd64
Version: 1:2.39.5-0+deb12u2
Description: a tool
 Package: not-a-package

Package: removed
Status: deinstall ok config-files
Architecture: amd64
Version: 1
"""


def install(root: Path, folder: str, fields: str, *, file: str = "METADATA") -> None:
    metadata = root / folder / file
    metadata.parent.mkdir(parents=True)
    metadata.write_text(f"Metadata-Version: 2.4\n{fields}\n")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text('ID=debian\nVERSION_ID="12"\n')
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").write_text(STATUS)
    packages = "venv/lib/python3.12/site-packages"
    ours = "feature_lineage_operator-0.1.0.dist-info"
    install(tmp_path, f"{packages}/{ours}", "Name: feature-lineage-operator\nVersion: 0.1.0")
    install(
        *(tmp_path, f"{packages}/Python_Jose-3.dist-info"),
        "Name: Python_Jose\nVersion: 3\nLicense-Expression: MIT OR Apache-2.0",
    )
    install(
        *(tmp_path, "usr/lib/python3/dist-packages/six-1.16.0.egg-info"),
        "Name: six\nVersion: 1.16.0\nLicense: MIT",
        file="PKG-INFO",
    )
    install(tmp_path, "tools/lib/uv-1.dist-info", "Name: uv\nVersion: 1")
    return tmp_path


def listed(root: Path) -> dict[str, Any]:
    spec = importlib.util.spec_from_file_location("sbom", CHECKOUT / "images" / "sbom.py")
    assert spec is not None
    assert spec.loader is not None
    sbom = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sbom)
    document: dict[str, Any] = json.loads(sbom.bill_of_materials("the-operator", root))
    return document


def addresses(document: dict[str, Any]) -> set[str]:
    return {component["purl"] for component in document["components"]}


def test_it_names_distributions_debian_packages_and_the_python_of_the_base(root: Path) -> None:
    assert addresses(listed(root)) == {
        "pkg:deb/debian/git@1:2.39.5-0%2Bdeb12u2?arch=amd64&distro=debian-12",
        "pkg:pypi/feature-lineage-operator@0.1.0",
        "pkg:pypi/python-jose@3",
        "pkg:pypi/six@1.16.0",
        f"pkg:generic/python@{platform.python_version()}",
    }


def test_a_python_of_dpkg_is_named_once(root: Path) -> None:
    status = root / "var/lib/dpkg/status"
    python = STATUS.replace("Package: git", "Package: python3-minimal").replace("1:2.39.5", "3.12")
    status.write_text(f"{STATUS}\n{python}")

    assert not any(address.startswith("pkg:generic/") for address in addresses(listed(root)))


def test_it_is_a_document_about_the_image(root: Path) -> None:
    document = listed(root)

    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    about = document["metadata"]["component"]
    assert (about["type"], about["name"], about["version"]) == (
        "container",
        "the-operator",
        "0.1.0",
    )
    (whole,) = (d for d in document["dependencies"] if d["ref"] == about["bom-ref"])
    assert set(whole["dependsOn"]) == {c["bom-ref"] for c in document["components"]}


def test_licenses_are_those_of_the_distribution(root: Path) -> None:
    licenses = {c["name"]: c.get("licenses") for c in listed(root)["components"]}

    assert licenses["python-jose"] == [{"expression": "MIT OR Apache-2.0"}]
    assert licenses["six"] == [{"license": {"name": "MIT"}}]
    assert licenses["git"] is None
