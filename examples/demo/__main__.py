"""``python -m examples.demo [--keep]``: runs all steps, then cleans up or leaves all running."""

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn

import httpx

from examples.demo import building, protecting, screen
from examples.demo.building import Demo
from examples.demo.workspace import DemoError, Workspace

CHECKOUT = Path(__file__).resolve().parents[2]
STEPS: tuple[tuple[str, Callable[[Demo], str]], ...] = (
    ("A real MLflow server, and data", building.start_servers),
    ("Manifests are applied to a feature store", building.apply_and_materialize),
    ("A champion, trained and registered through Feast", building.train_champion),
    ("A second model, trained with plain MLflow", building.train_plainly),
    ("Reconciled: linked, tagged, verified", building.link_tag_verify),
    ("Metrics and ops runs", building.look_at_metrics),
    ("The breaking change", protecting.break_the_champion),
    ("A permission, used once and recorded", protecting.allow_it_once),
    ("A project that another tool applies", protecting.observe_elsewhere),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave everything running at the end")
    keep = parser.parse_args().keep
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    workspace = Workspace(CHECKOUT / ".demo")
    watch = screen.Stopwatch()
    try:
        workspace.clear()
        demo = Demo(workspace)
        for number, (title, step) in enumerate(STEPS):
            screen.heading(number, title)
            lap = screen.Stopwatch()
            screen.seen(step(demo), lap.seconds)
        if keep:
            building.leave_running(demo)
            return 0
    except KeyboardInterrupt:
        screen.note("\n   Interrupted: stopping everything …")
        workspace.close()
        workspace.remove()
        return 130
    except (DemoError, httpx.HTTPError, OSError, RuntimeError) as error:
        screen.failed(str(error))
        workspace.close()
        screen.note(f"The files are in {workspace.root}; read logs/ first.")
        return 1
    except BaseException:
        workspace.close()  # a bug of the demo itself: raised with its traceback
        raise
    workspace.close()
    workspace.remove()
    screen.note(f"\n   All steps took {watch.seconds:.0f} s; everything is stopped and removed.")
    screen.note("`make demo KEEP=1` leaves everything running.")
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the clean-up must not be interrupted
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
