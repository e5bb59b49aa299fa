"""How GitOps tools rate an object: runs the code of the tools with the files in `examples/`.

`judge/` is a small Go program. It contains kstatus, the health script runner of Argo CD, and the
evaluator of Flux's kustomize-controller.
"""

import hashlib
import json
import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Self

from tests.cluster.binaries import Build, built

ROOT: Final = Path(__file__).parents[3]
EXAMPLES: Final = ROOT / "examples/gitops"
ARGOCD: Final = EXAMPLES / "argocd/argocd-cm.yaml"
FLUX: Final = EXAMPLES / "flux/kustomizations.yaml"

_MODULE: Final = Path(__file__).parent / "judge"
_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Verdict:
    """The result of one tool: its own term, and the reason."""

    status: str
    message: str

    @classmethod
    def parse(cls, result: Mapping[str, str]) -> Self:
        return cls(result["status"], result["message"])


@dataclass(frozen=True)
class Judgement:
    """The results of all tools for one object.

    Attributes:
        kstatus: InProgress, Failed, Current or Terminating; computed from the object only.
        argo: Progressing, Healthy, Degraded or Suspended; Unknown if the script fails.
        flux: InProgress, Failed or Current; Unknown if an expression fails, in which case Flux
            waits too.
    """

    kstatus: Verdict
    argo: Verdict
    flux: Verdict

    @property
    def words(self) -> tuple[str, str, str]:
        """kstatus, Argo CD, Flux."""
        return self.kstatus.status, self.argo.status, self.flux.status


def judge(objects: Iterable[Mapping[str, Any]]) -> list[Judgement]:
    """Return the results for these objects, in the same order.

    Args:
        objects: complete objects as an API server returns them, with ``metadata.generation``.

    Raises:
        RuntimeError: the examples or an object cannot be read; the message has the reason.
    """
    done = subprocess.run(
        [_program(), "-argocd-cm", ARGOCD, "-flux", FLUX],
        input="".join(f"{json.dumps(each)}\n" for each in objects),
        capture_output=True,
        text=True,
        timeout=_SECONDS,
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return [
        Judgement(**{tool: Verdict.parse(result) for tool, result in json.loads(line).items()})
        for line in done.stdout.splitlines()
    ]


@cache
def _program() -> Path:
    """Return the path of the program, which is built once for each content of its module."""
    digest = hashlib.sha256()
    for source in sorted(_MODULE.iterdir()):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = caches / "feature-lineage-operator" / f"judge-{digest.hexdigest()[:12]}"
    return built("judge", Build(str(_MODULE), "."), folder)


if __name__ == "__main__":
    print(_program())
