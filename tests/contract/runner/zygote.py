"""Runs operations and scripts without an ``import feast`` for each: one process forks all.

Started as a script. Each line on stdin is a command; each answer is a line on stdout:

    {"request": {...}, "kill": null | {"target": "module:attribute", "when": "before"|"after",
     "call": 1} | {"after": seconds}}
    → {"report": {...} | null, "status": wait status, "seconds": float}

    {"script": Python, "arguments": [...], "folder": path}
    → {"printed": str, "status": wait status}

The child of a request runs the same code as the worker after its imports. The child kills itself
with SIGKILL before or after a named call, or this process kills the child after some time.
"""

import importlib
import json
import os
import select
import signal
import sys
import time
import traceback
from datetime import UTC, datetime


def main() -> None:
    import feast

    # Modules that reading a feature_store.yaml and materializing would import in every child.
    import feast.infra.compute_engines.local.compute
    import feast.infra.offline_stores.dask
    import feast.infra.online_stores.postgres_online_store.postgres
    import feast.infra.online_stores.sqlite
    import feast.infra.passthrough_provider  # noqa: F401

    from feature_lineage.operations.protocol import JobRequest
    from feature_lineage.runner import dispatch, worker
    from feature_lineage.runner.progress import ProgressPipe

    answers = os.dup(1)
    os.dup2(2, 1)  # the output of repos is not an answer
    os.write(answers, b"ready\n")
    for line in sys.stdin:
        command = json.loads(line)
        if "script" in command:
            os.write(answers, json.dumps(run_script(**command)).encode() + b"\n")
            continue
        kill = command["kill"] or {}
        read, write = os.pipe()
        started = time.monotonic()
        child = os.fork()
        if child == 0:
            os.setsid()
            os.close(read)
            if "target" in kill:
                arm(**kill)
            request = JobRequest.model_validate(command["request"])
            progress = ProgressPipe(write, os.open(os.devnull, os.O_RDONLY))
            report = worker._guarded(request, progress, datetime.now(UTC), dispatch.run)
            progress.emit("report", report=report)
            os._exit(0)
        os.close(write)
        report, status = follow(child, read, kill.get("after"))
        os.close(read)
        answer = {"report": report, "status": status, "seconds": time.monotonic() - started}
        os.write(answers, json.dumps(answer).encode() + b"\n")


def run_script(script: str, arguments: list[str], folder: str) -> dict:
    """Run a script as ``python -c`` does, in a child; return what it prints, its error included."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(write, 1)
        os.chdir(folder)
        sys.argv, sys.path = ["-c", *arguments], ["", *sys.path]
        sys.stdout = os.fdopen(1, "w", buffering=1)
        status = 1
        try:
            exec(compile(script, "<script>", "exec"), {"__name__": "__main__"})
            status = 0
        except BaseException:  # noqa: BLE001  printed for the test
            traceback.print_exc(file=sys.stdout)
        os._exit(status)
    os.close(write)
    with os.fdopen(read) as pipe:
        printed = pipe.read()
    return {"printed": printed, "status": os.waitpid(child, 0)[1]}


def arm(target: str, when: str, call: int = 1) -> None:
    """Let this process kill itself before or after a call of `target`."""
    module, _, path = target.partition(":")
    owner = importlib.import_module(module)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    real, calls = getattr(owner, name), 0

    def deadly(*args: object, **kwargs: object) -> object:
        nonlocal calls
        calls += 1
        if calls == call and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*args, **kwargs)
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, deadly)


def follow(child: int, read: int, kill_after: float | None) -> tuple[dict | None, int]:
    """Return the child's report and wait status; `kill_after` starts with its apply phase."""
    data, report, kill_at = b"", None, None
    while True:
        left = None if kill_at is None else max(0.0, kill_at - time.monotonic())
        ready, _, _ = select.select([read], [], [], left)
        if not ready:
            os.killpg(child, signal.SIGKILL)
            kill_at = None
            continue
        chunk = os.read(read, 1 << 16)
        if not chunk:
            break
        data += chunk
        *lines, data = data.split(b"\n")
        for line in lines:
            message = json.loads(line)
            if message["event"] == "report":
                report = message["report"]
            elif message == {"event": "phase", "name": "apply"} and kill_after is not None:
                kill_at = time.monotonic() + kill_after
    _, status = os.waitpid(child, 0)
    return report, status


if __name__ == "__main__":
    main()
