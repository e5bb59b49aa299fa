"""``python -m examples.demo [--keep]``: play all acts, then clean up or leave all running."""

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn

import httpx

from examples.demo import building, protecting, screen
from examples.demo.building import Play
from examples.demo.stage import DemoError, Stage

CHECKOUT = Path(__file__).resolve().parents[2]
ACTS: tuple[tuple[str, Callable[[Play], str]], ...] = (
    ("A real MLflow server, and data", building.set_the_stage),
    ("Manifests become a feature store", building.apply_and_materialize),
    ("A champion, trained and registered through Feast", building.train_champion),
    ("A second model, by plain MLflow", building.train_plainly),
    ("Reconciled: linked, tagged, verified", building.link_tag_verify),
    ("What monitoring and audit see", building.look_at_metrics),
    ("The breaking change", protecting.break_the_champion),
    ("An override, once and on record", protecting.allow_it_once),
    ("A house that applies elsewhere", protecting.observe_elsewhere),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave everything running at the end")
    keep = parser.parse_args().keep
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    stage = Stage(CHECKOUT / ".demo")
    watch = screen.Stopwatch()
    try:
        stage.clear()
        play = Play(stage)
        for number, (title, act) in enumerate(ACTS):
            screen.heading(number, title)
            lap = screen.Stopwatch()
            screen.seen(act(play), lap.seconds)
        if keep:
            building.leave_running(play)
            return 0
    except KeyboardInterrupt:
        screen.note("\n   Interrupted: stopping everything …")
        stage.close()
        stage.remove()
        return 130
    except (DemoError, httpx.HTTPError, OSError, RuntimeError) as error:
        screen.failed(str(error))
        stage.close()
        screen.note(f"What was written stays in {stage.root} (logs/ first).")
        return 1
    except BaseException:
        stage.close()  # a bug of the demo's own: with its traceback
        raise
    stage.close()
    stage.remove()
    screen.note(
        f"\n   All acts played in {watch.seconds:.0f} s; everything is stopped and removed."
    )
    screen.note("`make demo KEEP=1` leaves it running for you to look at.")
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # cleaning up is not to be interrupted
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
