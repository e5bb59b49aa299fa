"""The images are small, run without root, and contain their locked packages and byte code."""

import json
import re
import stat
from collections.abc import Iterator
from posixpath import basename, dirname, splitext

import pytest
from tests.e2e.image_files import ImageFiles
from tests.e2e.images import ABOVE_BASE_LIMITS, CHECKOUT, Image, images
from tests.e2e.own_image import ADDED

import feature_lineage

ADDED_LIMIT = 20e6
NOT_FOR_JOBS = {"kopf", "kubernetes", "mypy"}
PIN = re.compile(r"^([a-z0-9-]+)==([^ ]+)", re.MULTILINE)
DISTRIBUTION = re.compile(r"venv/lib/python3\.\d+/site-packages/([^/]+)-([^/-]+)\.dist-info$")
ANY_DISTRIBUTION = re.compile(r"/([^/]+)-([^/-]+)\.dist-info/METADATA$")
SHELLS = {
    *("sh", "ash", "bash", "rbash", "dash", "ksh", "ksh93", "mksh", "lksh", "posh", "yash"),
    *("zsh", "csh", "tcsh", "fish", "busybox", "toybox", "git-shell"),
}
UNCOMPILED = re.compile(r"/(test|tests|idlelib|lib2to3|turtledemo)/")


@pytest.fixture(scope="module", params=["operator", "runner", "own"])
def image(request: pytest.FixtureRequest) -> Image:
    """The image of the operator, of the runner, or of a repository, which must be a runner too."""
    found: Image = getattr(images(), request.param)
    return found


@pytest.fixture(scope="module")
def files(image: Image) -> Iterator[ImageFiles]:
    opened = ImageFiles(image.archive)
    yield opened
    opened.close()


def all_distributions(files: ImageFiles) -> set[tuple[str, str]]:
    """Return name and version of the distributions of the image's Python, and of the base's."""
    found = (ANY_DISTRIBUTION.search(path) for path in files.files)
    return {(match[1].lower().replace("_", "-"), match[2]) for match in found if match}


def distributions(files: ImageFiles) -> dict[str, str]:
    found = (DISTRIBUTION.search(path) for path in files.files)
    return {match[1].lower().replace("_", "-"): match[2] for match in found if match}


def listed(image: Image, kind: str) -> set[tuple[str, str]]:
    """Return name and version of each component of one kind in the image's list of its content."""
    components = json.loads(image.content.read_text(encoding="utf-8"))["components"]
    return {(c["name"], c["version"]) for c in components if c["purl"].startswith(f"pkg:{kind}/")}


def debian_packages(files: ImageFiles) -> set[tuple[str, str]]:
    stanzas = files.read("var/lib/dpkg/status").decode().split("\n\n")
    fields = [dict(re.findall(r"^(\w+): (.+)$", text, re.MULTILINE)) for text in stanzas]
    return {(f["Package"], f["Version"]) for f in fields if "ok installed" in f.get("Status", "")}


@pytest.mark.parametrize("kind", ["operator", "runner"])
def test_its_content_is_listed(kind: str) -> None:
    image: Image = getattr(images(), kind)
    files = ImageFiles(image.archive)
    try:
        packages, everything = debian_packages(files), all_distributions(files)
    finally:
        files.close()

    assert listed(image, "deb") == packages
    assert listed(image, "pypi") == everything
    assert {"git", "openssh-client"} <= {name for name, _ in packages}
    assert "feature-lineage-operator" in {name for name, _ in everything}


def test_the_layers_above_the_base_are_small(image: Image) -> None:
    assert image.above_base < ABOVE_BASE_LIMITS[image.kind]


def test_it_runs_the_command_of_the_chart_without_root(image: Image, files: ImageFiles) -> None:
    commands = {
        "operator": ["feature-lineage", "operator"],
        "runner": ["python", "-P", "-m", "feature_lineage.runner.pod"],
    }

    assert files.config["User"] == "65532:65532"
    assert files.config["Entrypoint"] == commands[image.kind]


def test_its_user_has_a_name_for_ssh(files: ImageFiles) -> None:
    assert ":65532:65532:" in files.read("etc/passwd").decode()
    assert {"usr/bin/git", "usr/bin/ssh"} <= files.files.keys()


def test_the_operator_has_no_shell_and_the_runner_has_one(image: Image, files: ImageFiles) -> None:
    """An image of a repository is built with `RUN`, which needs the shell of the runner."""
    shells = {
        basename(path)
        for path, entry in files.files.items()
        if basename(path) in SHELLS and not entry.member.isdir()
    }
    packages = {name for name, _ in debian_packages(files)} & {"bash", "dash"}

    if image.kind == "operator":
        assert (shells, packages) == (set(), set())
    else:
        assert (shells, packages) == (
            {"sh", "bash", "rbash", "dash", "git-shell"},
            {"bash", "dash"},
        )


def test_no_added_file_is_setuid_or_world_writable(image: Image, files: ImageFiles) -> None:
    dangerous = stat.S_ISUID | stat.S_ISGID | stat.S_IWOTH
    added = [
        path
        for path, entry in files.above(image.above_base).items()
        if entry.member.isreg() and entry.member.mode & dangerous
    ]

    assert added == []


def test_added_files_are_packages_users_and_byte_code(image: Image, files: ImageFiles) -> None:
    """The image has no file of the build machine. A mount leaves an empty file: /etc/hosts."""
    ours = re.compile(
        r"(venv/|etc/(passwd|group)$|var/lib/dpkg/status$|usr/lib/python3[^/]*/.*__pycache__/.*\.pyc$)"
    )
    added = [
        path
        for path, entry in files.above(image.above_base).items()
        if (entry.member.size or entry.member.islnk() or entry.member.issym())
        and not ours.match(path)
    ]

    assert added == []


def test_every_module_has_its_byte_code(files: ImageFiles) -> None:
    """Python uses byte code that contains the time and the size of its source."""
    stale = []
    for path, entry in files.files.items():
        root = re.match(r"(venv|usr)/lib/python3\.\d+/", path)
        if not root or not path.endswith(".py") or not entry.member.isreg():
            continue
        if root[1] == "usr" and UNCOMPILED.search(path):
            continue
        version = root[0].split("/")[-2].removeprefix("python").replace(".", "")
        stem = splitext(basename(path))[0]
        compiled = f"{dirname(path)}/__pycache__/{stem}.cpython-{version}.pyc"
        wanted = int(entry.member.mtime).to_bytes(4, "little")
        wanted += entry.member.size.to_bytes(4, "little")
        if compiled not in files.files or files.read(compiled, 16)[8:] != wanted:
            stale.append(path)

    assert stale == []


def test_label_package_and_checkout_have_one_version(files: ImageFiles) -> None:
    versions = {
        files.config["Labels"]["org.opencontainers.image.version"],
        distributions(files)["feature-lineage-operator"],
        feature_lineage.__version__,
    }

    assert len(versions) == 1


def test_the_base_is_named(files: ImageFiles) -> None:
    base = files.config["Labels"]["org.opencontainers.image.base.name"]

    assert base.startswith("localhost/feature-lineage-base:")


def test_an_extra_and_a_package_add_only_themselves() -> None:
    """Their layers contain no second copy of files of the layers below."""
    assert images().own.above_base - images().runner.above_base < ADDED_LIMIT


def test_its_commands_are_there(files: ImageFiles) -> None:
    for command in ("feature-lineage", "kubectl-lineage"):
        script = files.files[f"venv/bin/{command}"]

        assert script.member.mode & 0o111 == 0o111
        assert files.read(f"venv/bin/{command}").startswith(b"#!/venv/bin/python\n")
    (ssh,) = (path for path in files.files if path.endswith("sources/ssh_program.py"))
    assert files.files[ssh].member.mode & 0o111 == 0o111


def test_it_has_its_locked_packages_and_those_added(image: Image, files: ImageFiles) -> None:
    lock = (CHECKOUT / "requirements" / f"{image.kind}.txt").read_text(encoding="utf-8")
    pins = set(PIN.findall(lock))
    installed = distributions(files)
    del installed["feature-lineage-operator"]

    locked = {name for name, _ in pins}
    added = installed.keys() - locked
    assert {(name, installed[name]) for name in installed.keys() & locked} <= pins
    # An extra may contain more, for older versions of Python.
    assert added >= ADDED if image == images().own else added == set()
    if image.kind == "operator":
        assert {"feast", "mlflow-skinny", "pandas"} & installed.keys() == set()
    else:
        assert {"feast", "mlflow-skinny", "pandas"} <= installed.keys()
        assert installed.keys() & NOT_FOR_JOBS == set()
