"""Log lines of the containers of a namespace, read from the files of the node.

`kubectl logs` returns only logs of existing pods, and of the last two runs of a container. This
class keeps files open, and so reads them to the end after the pod is deleted.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tests.cluster.host.process import Line


@dataclass(frozen=True, order=True)
class ContainerRun:
    """A container from its start to its end.

    Attributes:
        pod: name of the pod.
        number: 0 for the first run; each further one is a restart.
    """

    pod: str
    number: int


@dataclass
class _Log:
    """A file that is still written.

    Attributes:
        begun: the start of an incomplete record.
        text: the start of an incomplete line: a long line consists of several records.
    """

    run: ContainerRun
    file: BinaryIO
    begun: bytes = b""
    text: str = ""

    def lines(self) -> Iterator[Line]:
        """Return the text written since the last call."""
        *records, self.begun = (self.begun + self.file.read()).split(b"\n")
        for record in records:
            _time, _stream, tag, *content = record.decode(errors="replace").split(" ", 3)
            self.text += "".join(content)
            if tag == "F":
                yield _parsed(self.text)
                self.text = ""


class ContainerLogs:
    """The logs of the pods of a namespace, with one container each.

    Args:
        folder: folder in which the kubelet keeps the logs.
    """

    def __init__(self, folder: Path, namespace: str) -> None:
        self._folder = folder
        self._pattern = f"{namespace}_*/*/*.log"
        self._logs: dict[int, _Log] = {}

    def open_new_files(self) -> None:
        """Open new files; call this before pods are deleted."""
        for path in sorted(self._folder.glob(self._pattern)):
            with contextlib.suppress(FileNotFoundError):  # its pod is being deleted; opened before
                file = path.open("rb")
                inode = os.fstat(file.fileno()).st_ino  # a log that becomes too large is renamed
                if inode in self._logs:
                    file.close()
                else:
                    pod = path.parts[-3].split("_")[1]
                    self._logs[inode] = _Log(ContainerRun(pod, int(path.stem)), file)

    def runs(self) -> set[ContainerRun]:
        """Return all runs that were ever seen."""
        return {log.run for log in self._logs.values()}

    def news(self) -> Iterator[tuple[ContainerRun, Line]]:
        """Return the lines since the last call."""
        self.open_new_files()
        for log in sorted(self._logs.values(), key=lambda each: each.run):
            for line in log.lines():
                yield log.run, line

    def close(self) -> None:
        for log in self._logs.values():
            log.file.close()


def _parsed(text: str) -> Line:
    """A line that is not a JSON object is returned as an error, because it is from a crash."""
    with contextlib.suppress(ValueError):
        if isinstance(line := json.loads(text), dict):
            return line
    return {"level": "error", "message": text}
