"""The processes that a test process started end with it, on any cluster."""

import json
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from tests.cluster.servers import wait_for_end

ROOT = Path(__file__).parents[2]

# Starts a process with a child, as MLflow has, in its own process group.
FAMILY = """
    import json, subprocess, sys, tempfile
    from pathlib import Path
    from tests.cluster.servers import ReaperClient

    reaper, folder = ReaperClient("family-"), tempfile.mkdtemp(prefix="family-")
    shell = "sleep 600 & echo $!; wait"
    family = subprocess.Popen(
        ["sh", "-c", shell], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    reaper.adopt(family.pid, Path(folder))
    pids = {"parent": family.pid, "child": int(family.stdout.readline()), "reaper": reaper.pid}
    print(json.dumps({"pids": pids, "folder": folder}), flush=True)
    sys.stdin.read()
    reaper.close()
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, None], ids=str)
def test_what_a_test_process_started_by_itself_goes_with_it_too(end):
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(FAMILY)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        there = json.loads(process.stdout.readline())
        assert Path(there["folder"]).is_dir()
        if end is not None:
            process.send_signal(end)
        process.stdin.close()

        for pid in there["pids"].values():
            wait_for_end(pid)
        assert not Path(there["folder"]).exists()
