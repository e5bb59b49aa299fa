"""A simulated node: runs pods as a kubelet does, so that Jobs end on a cluster without nodes.

The container of each pod is a process of this machine. It has its own root (a read-only overlay of
this machine's root) and process table, the user of the pod, and only the capabilities of the pod.
ConfigMaps, Secrets and tokens are mounted as in the pod; the image is this machine. The node needs
root. It has no cgroups, networks, images or probes, and one container per pod.
"""

import asyncio
import contextlib
import os
import shlex
import shutil
import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

from tests.cluster.node_volumes import Volumes

from feature_lineage.errors import NotFound
from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.kinds import PODS, SECRETS, Kind

NODES: Final = Kind("", "v1", "nodes", "Node")
POLL_SECONDS: Final = 0.2
WORDS: Final = 4096
CHECKOUT: Final = Path(__file__).parents[2]
"""Path of the code in the image, which is this machine."""

_ROOT = """
set -eu
mount -t tmpfs tmpfs "$1" && mkdir "$1/upper" "$1/work" "$1/root" && root="$1/root"
mount -t overlay overlay -o lowerdir=/,upperdir="$1/upper",workdir="$1/work" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/dev"
for device in null zero random urandom; do
  touch "$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"
done
ln -s /proc/self/fd "$root/dev/fd"
touch "$root/dev/termination-log"; mount --bind "$2" "$root/dev/termination-log"
show() { mkdir -p "$root$1" && mount --bind "$1" "$root$1" && mount -o remount,ro,bind "$root$1"; }
python=$(readlink -f "$3")
while [ "$python" != / ]; do chmod a+rX "$root$python"; python=$(dirname "$python"); done
"""


class NodeStandIn:
    """A node that runs every pod of the namespaces that it is given.

    Args:
        api: client of an administrator.
        claims: content of PersistentVolumeClaims, by name: folders of this machine.
    """

    def __init__(self, api: Api, *namespaces: str, claims: dict[str, Path] | None = None) -> None:
        self._api = api
        self._namespaces = namespaces
        self._volumes = Volumes(api, claims or {})
        self._pods: dict[str, asyncio.Task[None]] = {}
        self.name = "stand-in"
        self.ended: dict[str, str] = {}  # pod → its output

    async def __aenter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="feature-lineage-node-"))
        with contextlib.suppress(Exception):
            await self._api.create(NODES, "", {"metadata": {"name": self.name}})
        self._looking = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = [self._looking, *self._pods.values()]
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        shutil.rmtree(self._folder, ignore_errors=True)
        for failed in (end for end in ends if isinstance(end, Exception)):
            raise failed

    def printed(self) -> str:
        """Return the output of all containers so far."""
        logs = sorted(self._folder.glob("*/output.log"))
        return "".join(log.read_text(errors="replace") for log in logs)

    async def _look(self) -> None:
        while True:
            for namespace in self._namespaces:
                async for pod in self._api.list(PODS, namespace):
                    uid = pod["metadata"]["uid"]
                    done = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
                    if uid not in self._pods and not done:
                        self._pods[uid] = asyncio.create_task(self._run(pod))
            if failed := [t for t in self._pods.values() if t.done() and t.exception()]:
                failed[0].result()
            await asyncio.sleep(POLL_SECONDS)

    async def _run(self, pod: Object) -> None:
        metadata = pod["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        binding = {
            "metadata": {"name": name},
            "target": {"apiVersion": "v1", "kind": "Node", "name": self.name},
        }
        await self._api._request("POST", PODS.path(namespace, name, "binding"), body=binding)
        home = self._folder / metadata["uid"]
        mounts = [
            await self._volumes.mount(pod, home, mount) for mount in _container(pod)["volumeMounts"]
        ]
        process, log = await self._spawn(pod, home, mounts)
        started = _now()
        await self._status(pod, "Running", {"running": {"startedAt": started}})
        try:
            code = await self._end(pod, process)
        finally:
            if process.returncode is None:
                process.kill()
        self.ended[name] = printed = log.read_text(errors="replace")
        words = (home / "termination-log").read_bytes()[:WORDS].decode(errors="replace")
        ended = {
            "exitCode": code,
            "reason": "Error" if code else "Completed",
            "startedAt": started,
            "finishedAt": _now(),
            "message": words or (printed[-2048:] if code else ""),
        }
        phase = "Failed" if code else "Succeeded"
        gone = await self._status(pod, phase, {"terminated": ended})
        if gone:
            await self._let_go(namespace, name)

    async def _end(self, pod: Object, process: asyncio.subprocess.Process) -> int:
        """Wait for the process; SIGTERM when the pod is deleted, SIGKILL after its grace period."""
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        waiting = asyncio.create_task(process.wait())
        kill_at: float | None = None
        loop = asyncio.get_running_loop()
        while not waiting.done():
            await asyncio.wait({waiting}, timeout=POLL_SECONDS)
            now = await self._api.find(PODS, namespace, name)
            grace = ((now or {}).get("metadata") or {}).get("deletionGracePeriodSeconds")
            if (now is None or grace is not None) and kill_at is None:
                kill_at = loop.time() + (grace or 0)
                _signal_first(process.pid, signal.SIGTERM)
            if kill_at is not None and loop.time() > kill_at:
                _signal_first(process.pid, signal.SIGKILL)
        code = waiting.result()
        return 128 - code if code < 0 else code

    async def _status(self, pod: Object, phase: str, state: Object) -> bool:
        """Write the status; return whether the pod is being deleted."""
        container = _container(pod)
        ready = "True" if phase == "Running" else "False"
        body = {
            "status": {
                "phase": phase,
                "startTime": _now(),
                "conditions": [
                    {"type": "Ready", "status": ready, "lastTransitionTime": _now()},
                    {"type": "PodScheduled", "status": "True", "lastTransitionTime": _now()},
                ],
                "containerStatuses": [
                    {
                        "name": container["name"],
                        "image": container["image"],
                        "imageID": "",
                        "ready": phase == "Running",
                        "restartCount": 0,
                        "state": state,
                    }
                ],
            }
        }
        metadata = pod["metadata"]
        try:
            now = await self._api.patch(
                PODS, metadata["namespace"], metadata["name"], body, subresource="status"
            )
        except NotFound:
            return False
        return "deletionTimestamp" in now["metadata"]

    async def _let_go(self, namespace: str, name: str) -> None:
        path = PODS.path(namespace, name)
        with contextlib.suppress(NotFound):
            await self._api._request("DELETE", path, body={"gracePeriodSeconds": 0})

    async def _spawn(
        self, pod: Object, home: Path, mounts: list[tuple[Path, str, bool]]
    ) -> tuple[asyncio.subprocess.Process, Path]:
        container, security = _container(pod), pod["spec"]["securityContext"]
        (home / "root").mkdir(parents=True)
        words, log = home / "termination-log", home / "output.log"
        words.touch(mode=0o666)
        words.chmod(0o666)
        script = [_ROOT]
        for source, path, writable in sorted(mounts, key=lambda mount: mount[1]):
            # Links of the root are absolute: /var/run would lead out of the root.
            script.append(f'at="$root$(chroot "$root" readlink -m {shlex.quote(path)})"')
            script.append(f'mkdir -p "$at" && mount --bind {shlex.quote(str(source))} "$at"')
            if not writable:
                script.append('mount -o remount,ro,bind "$at"')
        for folder in dict.fromkeys((str(CHECKOUT), sys.prefix)):
            # A checkout below a folder that the pod mounts over, such as /tmp, stays visible.
            path = shlex.quote(folder)
            script.append(f'[ -e "$root"{path} ] || show {path}')
        if container["securityContext"]["readOnlyRootFilesystem"]:
            script.append('mount -o remount,ro "$root"')
        inside = shlex.join(
            [
                *("setpriv", f"--reuid={security['runAsUser']}"),
                *(f"--regid={security['runAsGroup']}", f"--groups={security['fsGroup']}"),
                *("--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"),
                *("sh", "-c", f'cd {container["workingDir"]} && exec "$@"', "sh"),
                *container["command"],
                *container["args"],
            ]
        )
        script.append(f'exec chroot "$root" {inside}')
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *("setpriv", "--pdeathsig", "KILL"),  # a killed test leaves none behind
                *("unshare", "--mount", "--pid", "--fork", "--kill-child"),
                *(
                    "sh",
                    "-c",
                    "\n".join(script),
                    "sh",
                    str(home / "root"),
                    str(words),
                    sys.executable,
                ),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                env=await self._environment(pod),
                start_new_session=True,
            )
        return process, log

    async def _environment(self, pod: Object) -> dict[str, str]:
        server = urlsplit(self._api.configuration.host)
        found = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "KUBERNETES_SERVICE_HOST": server.hostname or "",
            "KUBERNETES_SERVICE_PORT": str(server.port),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        for variable in _container(pod).get("env", ()):
            value = variable.get("value", "")
            if ref := variable.get("valueFrom", {}).get("secretKeyRef"):
                secret = await self._volumes.contents(SECRETS, pod, ref["name"])
                value = secret[ref["key"]].decode()
            found[variable["name"]] = value
        return found


def _container(pod: Object) -> dict[str, Any]:
    (container,) = pod["spec"]["containers"]
    found: dict[str, Any] = container
    return found


def _signal_first(unshare: int, number: int) -> None:
    """Send a signal to the first process of the container; `unshare` does not forward signals."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for child in Path(f"/proc/{unshare}/task/{unshare}/children").read_text().split():
            os.kill(int(child), number)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
