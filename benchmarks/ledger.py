"""How many issuances the ledger records in a second, by size of batch. Prints a table, and JSON with `--json`.

One unit is what an issuer records for one enrollment: a transaction, a certificate of 1 kB, the request and the reply
of 4 kB each, an audit line, and for one in ten a used invitation. Everything is flushed to disk as in service.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from agents.adapters.ledger import open_ledger
from agents.core import effects as fx
from protocol.names import Fingerprint, InvitationId, OrganisationName, SerialNumber, TransactionId
from protocol.transaction import Role, State

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agents.ports import Ledger

START = datetime(2026, 1, 1, tzinfo=UTC)
REQUESTER, ISSUER = OrganisationName("client-b"), OrganisationName("client-c")
MESSAGE_BYTES, CERTIFICATE_BYTES = 4096, 1024
INVITED_EVERY = 10


@dataclass(frozen=True)
class Measured:
    """Units recorded by one process, `batch` at a time."""

    batch: int
    units: int
    units_per_second: float
    milliseconds_per_commit: float
    cpu_microseconds_per_unit: float


def transaction_id(number: int) -> TransactionId:
    """A UUID of version 7 for millisecond `number`."""
    random = os.urandom(8).hex()
    text = f"{number:012x}7{random[:3]}8{random[3:]}00"[:32]
    return TransactionId(f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}")


def invitation(id_: TransactionId) -> InvitationId:
    """The invitation that this transaction uses."""
    return InvitationId(id_.replace("-", ""))


def issuance(number: int) -> fx.Unit:
    """What an issuer records for one enrollment."""
    id_ = transaction_id(number)
    key = fx.TransactionKey(Role.ISSUER, REQUESTER, id_)
    serial = SerialNumber.from_int(int.from_bytes(os.urandom(19)) | 1)
    request, reply, certificate = os.urandom(MESSAGE_BYTES), os.urandom(MESSAGE_BYTES), os.urandom(CERTIFICATE_BYTES)
    later = START + timedelta(days=90)
    used = (fx.ConsumeInvitation(invitation(id_), REQUESTER, id_, START),) if number % INVITED_EVERY == 0 else ()
    opened = fx.OpenTransaction(
        key, State.ISSUED, Fingerprint.of(request), START, later, ("api.client-b.example",), serial
    )
    recorded = fx.RecordCertificate(
        serial, ISSUER, REQUESTER, id_, certificate, Fingerprint.of(certificate), START, later
    )
    stored = (
        fx.StoreMessage(key, "enrollment.request", request, START, outgoing=False, issuer=ISSUER),
        fx.StoreMessage(key, "enrollment.reply", reply, START, outgoing=True, issuer=ISSUER),
    )
    return fx.Unit((opened, recorded, *stored, *used, fx.Audit(START, "issued", REQUESTER, id_, f"serial {serial}")))


def invitations(units: Sequence[fx.Unit]) -> Iterator[fx.Unit]:
    """The invitations that `units` will use."""
    later = START + timedelta(days=1)
    for unit in units:
        for effect in unit.effects:
            if isinstance(effect, fx.ConsumeInvitation):
                yield fx.Unit((fx.RecordInvitation(effect.id, REQUESTER, bytes(32), START, later),))


def measure(ledger: Ledger, units: Sequence[fx.Unit], batch: int) -> Measured:
    """Commit `units`, `batch` at a time."""
    ledger.commit(list(invitations(units)))
    batches = [units[at : at + batch] for at in range(0, len(units), batch)]
    began, cpu = time.perf_counter(), time.process_time()
    recorded = sum(sum(ledger.commit(part)) for part in batches)
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    if recorded != len(units):
        sys.exit(f"only {recorded} of {len(units)} units were recorded")
    return Measured(batch, recorded, recorded / took, 1000 * took / len(batches), 1e6 * cpu / recorded)


def main() -> None:
    """Measure each size of batch on one ledger that grows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="ledger to measure (default: a file in a new directory)")
    parser.add_argument("--directory", type=Path, help="where to make that directory: the disk to measure")
    parser.add_argument("--units", type=int, default=6400, help="units for each size of batch")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 64, 256])
    parser.add_argument("--json", action="store_true", help="print only JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        ledger = open_ledger(options.url or f"{directory}/ledger.sqlite", create=True)
        first = int(time.time() * 1000)
        results = []
        for place, batch in enumerate(options.batches):
            units = [issuance(first + place * options.units + n) for n in range(options.units)]
            results.append(measure(ledger, units, batch))
        ledger.close()
    if not options.json:
        print(f"{'batch':>6} {'units/s':>9} {'ms/commit':>10} {'CPU µs/unit':>12}")
        for r in results:
            row = (r.batch, r.units_per_second, r.milliseconds_per_commit, r.cpu_microseconds_per_unit)
            print("{:>6} {:>9.0f} {:>10.2f} {:>12.0f}".format(*row))
    print(json.dumps({"benchmark": "ledger", "results": [asdict(r) for r in results]}))


if __name__ == "__main__":
    main()
