"""buildah, with a store of our own: what a build leaves behind can be removed without asking.

Nothing of this machine gets into an image: its certificates are mounted for the time of a build,
and its resolver and proxies are what buildah passes anyway.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

CERTIFICATES: Final = "/etc/ssl/certs/ca-certificates.crt"
_LAST_WORDS: Final = 30
"""Lines of a failed build that are shown; its log has the rest."""
_FORGOTTEN_AFTER: Final = 14 * 24 * 3600


class BuildFailed(RuntimeError):
    """An image could not be built; the message says what to do."""


def say(text: str) -> None:
    """Progress, on stderr: stdout is for results."""
    print(f"images: {text}", file=sys.__stderr__, flush=True)


class Buildah:
    """The program and its store under `folder`."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("buildah")
        if program is None:
            raise BuildFailed(
                "there is no buildah: install it (on Debian: apt-get install buildah)"
            )
        self._folder = folder
        self._held: tuple[int, ...] = ()
        # Mounts end with the machine's run, and so must what is noted about them.
        name = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
        run = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
        self._command = [program, "--root", str(folder / "store")]
        self._command += ["--runroot", str(run / f"feature-lineage-images-{name}")]

    def __call__(self, *arguments: str) -> str:
        """Run one command; returns what it printed."""
        done = subprocess.run(
            [*self._command, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise BuildFailed(f"buildah {' '.join(arguments)}: {done.stderr.strip()[-2000:]}")
        return done.stdout.strip()

    def has(self, image: str) -> bool:
        return bool(self("images", "--quiet", "--filter", f"reference={image}"))

    def watched(
        self, what: str, log: Path, command: list[str], seen: Callable[[str], None]
    ) -> None:
        """Run something long: its lines go to `log` and to `seen`; an interrupt ends it as well.

        Raises:
            BuildFailed: it failed; with the end of the log.
        """
        with log.open("w", encoding="utf-8") as written:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
                pass_fds=self._held,
            )
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    written.write(line)
                    seen(line)
                status = process.wait()
            finally:
                _end(process)
        if status != 0:
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            raise BuildFailed("\n".join([f"{what} failed; {log} ends:", *lines[-_LAST_WORDS:]]))

    def build(
        self, what: str, log: Path, arguments: list[str], seen: Callable[[str], None]
    ) -> None:
        """`buildah build`, layers kept, with this machine's certificates and network."""
        fixed = ["build", "--isolation", "chroot", "--network", "host", "--layers"]
        bundle = Path(os.environ.get("SSL_CERT_FILE") or CERTIFICATES)
        if bundle.is_file():
            fixed += ["--volume", f"{bundle}:{CERTIFICATES}:ro"]
        self.watched(what, log, [*self._command, *fixed, *arguments], seen)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Builds of one user wait for each other, and clear away what a killed one left.

        What is run meanwhile holds the lock too: it can outlive a builder that is killed.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / ".lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"another process builds into {self._folder}: waiting for it …")
                fcntl.flock(lock, fcntl.LOCK_EX)
            self._held = (lock.fileno(),)
            try:
                self.clear()
                yield
            finally:
                self._held = ()
                self.clear()

    def forget_old(self) -> None:
        """Remove layers that no newer one stands on and no name leads to, after two weeks."""
        for image in json.loads(self("images", "--all", "--json") or "[]"):
            if not image.get("names") and time.time() - image["created"] > _FORGOTTEN_AFTER:
                with contextlib.suppress(BuildFailed):
                    self("rmi", image["id"])

    def clear(self) -> None:
        """Remove working containers and half-written archives."""
        self("rm", "--all")
        for draft in self._folder.glob("*.partial"):
            draft.unlink()


def _end(process: subprocess.Popen[str]) -> None:
    """The process and what it started, asked first; no-one is left when this returns."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + 10
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
