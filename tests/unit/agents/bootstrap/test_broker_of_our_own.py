"""What stands in the definitions of a broker of our own."""

from agents.bootstrap.broker import Partnership, broker_definitions
from protocol.names import OrganisationName


def test_a_partnership_can_say_who_enrolls_with_whom():
    one, other = OrganisationName("client-c"), OrganisationName("client-e")
    requester = OrganisationName("client-b")
    partnership = Partnership((one, other), (requester,), {one: (requester,), other: ()})
    assert partnership.partners() == {one: [requester], other: []}
    queues = [queue["name"] for queue in broker_definitions(partnership, None)["queues"]]
    assert queues.count("replies.client-b") == 1
