"""What the containers of a namespace logged, read where their node keeps it.

`kubectl logs` knows of pods that are there, and of the last two runs of a container. A file that
was opened while it was there is read to its end, whatever has become of the pod by then.
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
        pod: its name.
        number: 0 is the first; each further one is a restart.
    """

    pod: str
    number: int


@dataclass
class _Log:
    """A file that is written to.

    Attributes:
        begun: of the record that is not whole yet.
        text: of the line that is not whole yet: a long one is several records.
    """

    run: ContainerRun
    file: BinaryIO
    begun: bytes = b""
    text: str = ""

    def lines(self) -> Iterator[Line]:
        """What was written since."""
        *records, self.begun = (self.begun + self.file.read()).split(b"\n")
        for record in records:
            _time, _stream, tag, *content = record.decode(errors="replace").split(" ", 3)
            self.text += "".join(content)
            if tag == "F":
                yield _parsed(self.text)
                self.text = ""


class ContainerLogs:
    """The logs of a namespace's pods, of one container each.

    Args:
        folder: where the kubelet keeps them.
    """

    def __init__(self, folder: Path, namespace: str) -> None:
        self._folder = folder
        self._pattern = f"{namespace}_*/*/*.log"
        self._logs: dict[int, _Log] = {}

    def open_new_files(self) -> None:
        """Open what is new; to be called before pods are made to go."""
        for path in sorted(self._folder.glob(self._pattern)):
            with contextlib.suppress(FileNotFoundError):  # its pod is going; it was opened before
                file = path.open("rb")
                inode = os.fstat(file.fileno()).st_ino  # what grew too large gets another name
                if inode in self._logs:
                    file.close()
                else:
                    pod = path.parts[-3].split("_")[1]
                    self._logs[inode] = _Log(ContainerRun(pod, int(path.stem)), file)

    def runs(self) -> set[ContainerRun]:
        """All that were ever seen."""
        return {log.run for log in self._logs.values()}

    def news(self) -> Iterator[tuple[ContainerRun, Line]]:
        """What was logged since this was asked last."""
        self.open_new_files()
        for log in sorted(self._logs.values(), key=lambda each: each.run):
            for line in log.lines():
                yield log.run, line

    def close(self) -> None:
        for log in self._logs.values():
            log.file.close()


def _parsed(text: str) -> Line:
    """A line that is no JSON object is a crash, and shows as one."""
    with contextlib.suppress(ValueError):
        if isinstance(line := json.loads(text), dict):
            return line
    return {"level": "error", "message": text}
