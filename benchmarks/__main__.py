"""`make bench`: start-up, and an issuer at work with a real RabbitMQ. `benchmarks.ledger` measures the ledger alone."""

from __future__ import annotations

import argparse
import json

from benchmarks import issuing, startup
from benchmarks.rig import bench


def main() -> None:
    """Measure everything and print it."""
    options = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    options.add_argument("--enrollments", type=int, default=6000, help="in each run at full speed")
    options.add_argument("--seconds", type=float, default=10.0, help="of each run at a steady rate")
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    started = startup.measure()
    with bench() as made:
        issued = issuing.measure(made, given.enrollments, given.seconds)
    if given.json:
        print(json.dumps({"startup": started, "issuing": issued}, indent=2))
    else:
        print(startup.describe(started), issuing.describe(issued), sep="\n")


if __name__ == "__main__":
    main()
