"""What a confirm of the broker records."""

from kit.certificates import NOW
from kit.envelopes import TRANSACTION, C

from agents.core.effects import Audit, MarkPublished, MoveTransaction, TransactionKey, Unit
from agents.core.outbox import units_for_confirmed
from protocol.transaction import Role, State


def test_a_confirmed_request_is_sent_in_a_unit_of_its_own_because_its_answer_may_have_been_quicker():
    key = TransactionKey(Role.REQUESTER, C, TRANSACTION)
    assert units_for_confirmed([7, 9], [key], NOW) == [
        Unit((MarkPublished((7, 9), NOW),)),
        Unit(
            (
                MoveTransaction(key, State.CREATED, State.SENT, NOW),
                Audit(NOW, "sent", C, TRANSACTION, "request published"),
            )
        ),
    ]
