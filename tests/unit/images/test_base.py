"""The mirror of a base is the one that this machine's apt uses, in either notation."""

from pathlib import Path

import pytest
from images import base
from images.buildah import BuildFailed

DEB822 = """\
# of the installer
Types: deb
# http://mirror.example.org/frozen
URIs: http://mirror.example.org/debian
Suites: bookworm bookworm-updates
Components: main

Types: deb
URIs: http://mirror.example.org/security
Suites: bookworm-security
Components: main
"""


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "sources.list.d").mkdir()
    monkeypatch.setattr(base, "APT", tmp_path)
    return tmp_path


def test_a_stanza_names_the_mirror_past_its_comments(apt: Path) -> None:
    (apt / "sources.list.d" / "debian.sources").write_text(DEB822)

    assert base.mirror("bookworm") == "http://mirror.example.org/debian"


def test_a_line_names_the_mirror_with_options_or_without(apt: Path) -> None:
    (apt / "sources.list").write_text(
        "deb-src http://a.example.org/debian trixie main\n"
        "deb [signed-by=/k.gpg arch=amd64] http://b.example.org/debian trixie main contrib\n"
        "deb http://c.example.org/debian bookworm main\n"
    )

    assert [base.mirror("trixie"), base.mirror("bookworm")] == [
        "http://b.example.org/debian",
        "http://c.example.org/debian",
    ]


def test_disabled_package_source_is_not_used(apt: Path) -> None:
    disabled = DEB822.replace("Types: deb\n# http", "Types: deb\nEnabled: no\n# http")
    (apt / "sources.list.d" / "debian.sources").write_text(disabled)
    (apt / "sources.list.d" / "vendor.list").write_text("deb https://v.example.org bookworm sdk\n")

    with pytest.raises(BuildFailed, match=r"has bookworm main: name an image with --base"):
        base.mirror("bookworm")


def test_another_mirror_is_another_base() -> None:
    names = {base.base_name("bookworm", f"http://{name}.example.org") for name in "aab"}

    assert len(names) == 2
