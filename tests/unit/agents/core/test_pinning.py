"""What the removal of a root records."""

from kit.certificates import NOW
from kit.envelopes import B

from agents.core.effects import Audit, Unit, UnpinAnchor
from agents.core.pinning import unit_for_unpinned
from protocol.names import Fingerprint
from protocol.transaction import Role


def test_the_removal_of_a_root_is_recorded_with_a_line_of_the_audit_trail_that_names_it():
    root = Fingerprint.of(b"root")
    assert unit_for_unpinned(B, Role.REQUESTER, {root}, NOW) == Unit(
        (UnpinAnchor(B, Role.REQUESTER, root), Audit(NOW, "root removed", B, None, f"as requester: {root}"))
    )
