"""Lets a fork of this process go on as another Python: no start, and no import of Feast.

Only what `exec` gives a process is imitated: arguments, environment, working directory, open files,
signal handlers, module path, ``__main__``. The rest is real: pid, session, output, exit code, the
parent, a death by a signal. A variable that a module reads when it is imported has no effect.
"""

import atexit
import contextlib
import gc
import os
import runpy
import signal
import subprocess
import sys
import threading
import traceback
import types
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NoReturn

SHELL = ["/bin/sh", "-c"]
"""How the local host starts a job: the shell writes its pid into a file, and becomes the job."""


class Popen(subprocess.Popen[Any]):
    """`subprocess.Popen` of this very Python, without `exec`."""

    def __init__(
        self,
        argv: list[str],
        *,
        env: Mapping[str, str] | None = None,
        pass_fds: Collection[int] = (),
        **options: Any,
    ) -> None:
        environment = dict(os.environ if env is None else env)

        def run() -> None:
            go_on_as(argv, environment, pass_fds)

        # The child calls the function just before `exec`, and the function never returns. It
        # lets go of the pipe on which this process waits for `exec`.
        super().__init__(argv, preexec_fn=run, pass_fds=pass_fds, **options)


class Forking:
    """Stands for the module `subprocess` in a module that starts Pythons."""

    Popen: Any = Popen
    DEVNULL, STDOUT, TimeoutExpired = (
        subprocess.DEVNULL,
        subprocess.STDOUT,
        subprocess.TimeoutExpired,
    )


def go_on_as(argv: list[str], env: Mapping[str, str], keep: Collection[int]) -> NoReturn:
    """Be ``python …`` in this process, which was forked for that, until its end."""
    status = 1
    try:
        gc.freeze()
        atexit._clear()
        _reset_signals()
        _let_go_of_all_but(keep)
        os.environ.clear()
        os.environ.update(env)
        _open_streams(unbuffered=bool(env.get("PYTHONUNBUFFERED")))
        sys.dont_write_bytecode = bool(env.get("PYTHONDONTWRITEBYTECODE"))
        if argv[:2] == SHELL:
            _write_pid(Path(argv[3]))
            argv = argv[4:]
        sys.path[:0] = filter(None, env.get("PYTHONPATH", "").split(os.pathsep))
        status = _run(argv[1:])
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def _run(arguments: list[str]) -> int:
    """Run ``[-P] (-m MODULE | -c CODE | FILE) ARGUMENT…``; returns the exit code."""
    safe = arguments[0] == "-P"
    kind, *rest = arguments[1:] if safe else arguments
    main = types.ModuleType("__main__")
    if kind == "-m":
        folder, sys.argv = str(Path.cwd()), rest
    elif kind == "-c":
        folder, file, code, sys.argv = "", "<string>", rest[0], ["-c", *rest[1:]]
    else:
        main.__file__ = file = str(Path(kind).absolute())
        folder, code, sys.argv = str(Path(file).parent), Path(file).read_text(), [kind, *rest]
    sys.path[:0] = [] if safe else [folder]
    try:
        if kind == "-m":
            if not hasattr(sys.modules.get(rest[0]), "__path__"):
                sys.modules.pop(rest[0], None)  # runpy warns of a module that is already imported
            runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        else:
            sys.modules["__main__"] = main
            exec(compile(code, file, "exec"), main.__dict__)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:  # noqa: BLE001  the interpreter prints it, too
        traceback.print_exc()
        return 1
    return 0


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _let_go_of_all_but(keep: Collection[int]) -> None:
    """Put the null device where `exec` closes a file: an object of before may still close it."""
    null = os.open(os.devnull, os.O_RDWR)
    for number in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208  without an open object
        if number > 2 and number not in keep:
            with contextlib.suppress(OSError):  # that of the listing
                os.dup2(null, number, inheritable=False)


def _open_streams(*, unbuffered: bool) -> None:
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stdout.reconfigure(write_through=unbuffered)
    sys.stderr = open(2, "w", buffering=1, closefd=False, errors="backslashreplace")  # noqa: SIM115


def _write_pid(path: Path) -> None:
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(f"{os.getpid()}\n")
    temporary.replace(path)
