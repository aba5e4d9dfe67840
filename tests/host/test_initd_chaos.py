# SPDX-License-Identifier: MIT
"""A minute of everything at once: sets, deletes, killed services and stubs, dying clients; then all is as asked."""

import json
import os
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jails import Host

CHAOS = Path(__file__).with_name("chaos.py")
SECONDS = float(os.environ.get("STOCKADE_CHAOS_S", 8 if "STOCKADE_GUEST" in os.environ else 60))

LIMIT_S = 600 if "STOCKADE_GUEST" in os.environ else 120


def test_the_last_set_counts_whatever_happened(host: "Host", run_folder: Path) -> None:
    folder = run_folder / "chaos"
    folder.mkdir()
    seed = int(os.environ.get("STOCKADE_SEED", random.randrange(1 << 32)))
    request = {
        "seconds": SECONDS,
        "seed": seed,
        "folder": str(folder),
        "probe": str(host.probes["glibc"]),
        "initd": str(Path(host.ujail).with_name("initd")),
    }
    apart = [*host.apart, "--pid", "--fork", "--mount-proc"]
    process = host.spawn(*apart, sys.executable, CHAOS, json.dumps(request))
    out, err = process.communicate(timeout=SECONDS + LIMIT_S)
    assert process.returncode == 0, f"seed {seed}: {out}{err}"
    done = json.loads(out)
    assert done["set"] >= 10 and done["kill"] >= 10, done
