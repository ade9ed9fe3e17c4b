"""How the definitions of a broker of our own are parted for very many partners."""

from agents.bootstrap.broker import MANY_QUEUES, PART, Partnership, _parted, broker_definitions
from protocol.names import OrganisationName

ISSUER = OrganisationName("client-c")


def contents(count):
    requesters = tuple(OrganisationName(f"requester-{number}") for number in range(count))
    return broker_definitions(Partnership((ISSUER,), requesters), None)


def test_a_few_partners_are_loaded_in_one_piece():
    whole = contents(3)
    assert _parted(whole) == (whole, [])


def test_many_partners_are_loaded_in_parts_that_leave_nothing_out():
    whole = contents(MANY_QUEUES)
    first, later = _parted(whole)
    for kind, objects in whole.items():
        found = [one for part in [first, *later] for one in part.get(kind, [])] if isinstance(objects, list) else None
        assert found is None or found == objects


def test_policies_come_before_the_queues_that_they_are_for_and_bindings_after_them():
    first, later = _parted(contents(MANY_QUEUES))
    assert first["policies"]
    assert first["queues"] == first["exchanges"] == first["bindings"] == []
    assert [next(iter(part)) for part in later] == ["exchanges", *["queues"] * (len(later) - 2), "bindings"]
    assert all(len(part.get("queues", [])) <= PART for part in later)


def test_a_partnership_can_say_who_enrolls_with_whom():
    one, other = OrganisationName("client-c"), OrganisationName("client-e")
    requester = OrganisationName("client-b")
    partnership = Partnership((one, other), (requester,), {one: (requester,), other: ()})
    assert partnership.partners() == {one: [requester], other: []}
    queues = [queue["name"] for queue in broker_definitions(partnership, None)["queues"]]
    assert queues.count("replies.client-b") == 1
