"""The topology as data: its names agree with each other, and its permissions keep organisations apart."""

import base64
import hashlib
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import topology
from protocol.envelope import ENVELOPE_MAX
from protocol.names import OrganisationName

B, C, D = OrganisationName("client-b"), OrganisationName("client-c"), OrganisationName("client-d")
USERS = {B: "hash of b", C: "hash of c", D: None}

organisations = st.from_regex(OrganisationName.grammar, fullmatch=True).map(OrganisationName)
pairs = st.tuples(organisations, organisations).filter(lambda pair: pair[0] != pair[1])
nearly = st.tuples(
    st.sampled_from(["", "x", "out.", "replies.", "-", "."]),
    organisations,
    st.sampled_from(["", "x", ".dead", "-x", "."]),
).map("".join)


def definitions():
    return topology.definitions({C: [B, D], B: [C]}, USERS)


def matches(pattern, name):
    """As RabbitMQ applies a permission: an unanchored search."""
    return re.search(pattern, name) is not None


def granted(user, host):
    (entry,) = [p for p in definitions()["permissions"] if (p["user"], p["vhost"]) == (user, host)]
    return entry


def test_names_are_those_of_the_protocol():
    assert topology.virtual_host(C) == "enroll.client-c"
    assert topology.out_exchange(B) == "out.client-b"
    assert topology.request_queue(C) == "requests.client-c"
    assert topology.reply_queue(B) == "replies.client-b"
    assert topology.dead_letter_queue("replies.client-b") == "replies.client-b.dead"


def test_the_definitions_name_the_same_objects_as_the_functions():
    found = definitions()
    assert [v["name"] for v in found["vhosts"]] == [topology.virtual_host(B), topology.virtual_host(C)]
    live = {topology.request_queue(C), topology.reply_queue(B), topology.reply_queue(D)}
    host = topology.virtual_host(C)
    assert {q["name"] for q in found["queues"] if q["vhost"] == host} == live | {f"{name}.dead" for name in live}
    exchanges = {e["name"]: e["internal"] for e in found["exchanges"] if e["vhost"] == host}
    assert exchanges == {"out.client-b": False, "out.client-c": False, "out.client-d": False, "dlx": True}


def test_every_queue_is_a_durable_quorum_queue_without_any_other_argument():
    for queue in definitions()["queues"]:
        assert queue["durable"]
        assert not queue["auto_delete"]
        assert queue["arguments"] == {"x-queue-type": "quorum"}


def test_every_exchange_is_durable_and_direct():
    for exchange in definitions()["exchanges"]:
        assert (exchange["type"], exchange["durable"], exchange["arguments"]) == ("direct", True, {})
        assert exchange["auto_delete"] is False


def test_the_largest_message_is_the_largest_envelope():
    assert topology.MESSAGE_BYTES_MAX == ENVELOPE_MAX


def test_every_binding_leads_to_a_queue_and_every_policy_is_for_queues():
    assert {(b["destination_type"], len(b["arguments"])) for b in definitions()["bindings"]} == {("queue", 0)}
    assert {(p["apply-to"], p["priority"]) for p in definitions()["policies"]} == {("queues", 0)}


def test_requests_reach_the_issuer_only_and_replies_come_from_the_issuer_only():
    host = topology.virtual_host(C)
    routes = {
        (b["source"], b["routing_key"], b["destination"]) for b in definitions()["bindings"] if b["vhost"] == host
    }
    assert routes == {
        ("out.client-b", "requests.client-c", "requests.client-c"),
        ("out.client-d", "requests.client-c", "requests.client-c"),
        ("out.client-c", "replies.client-b", "replies.client-b"),
        ("out.client-c", "replies.client-d", "replies.client-d"),
        ("dlx", "requests.client-c", "requests.client-c.dead"),
        ("dlx", "replies.client-b", "replies.client-b.dead"),
        ("dlx", "replies.client-d", "replies.client-d.dead"),
    }


def test_exactly_one_policy_applies_to_each_queue():
    found = definitions()
    for queue in found["queues"]:
        applied = [
            p["name"]
            for p in found["policies"]
            if p["vhost"] == queue["vhost"] and matches(p["pattern"], queue["name"])
        ]
        kind = "dead-letters" if queue["name"].endswith(".dead") else queue["name"].split(".")[0]
        assert applied == [kind]


@pytest.mark.parametrize("name", ["dead", "requests", "replies", "requests-dead"])
def test_no_name_of_an_organisation_brings_its_queue_under_another_policy(name):
    queue = topology.reply_queue(OrganisationName(name))
    policies = topology.declarations(OrganisationName("client-c"), [OrganisationName(name)]).policies
    assert [policy.name for policy in policies if matches(policy.pattern, queue)] == ["replies"]


def test_there_are_as_many_policies_for_many_requesters_as_for_one():
    many = [OrganisationName(f"requester-{number}") for number in range(50)]
    assert len(topology.declarations(OrganisationName("client-c"), many).policies) == 3


def test_a_request_queue_dead_letters_under_its_own_name_and_holds_on_to_nothing():
    policies = {(p["vhost"], p["name"]): p["definition"] for p in definitions()["policies"]}
    live = {
        "dead-letter-exchange": "dlx",
        "dead-letter-strategy": "at-most-once",
        "delivery-limit": 20,
        "max-length": topology.QUEUE_MESSAGES_MAX,
        "max-length-bytes": topology.QUEUE_BYTES_MAX,
        "overflow": "reject-publish",
    }
    assert policies["enroll.client-c", "replies"] == live
    assert policies["enroll.client-c", "requests"] == {**live, "dead-letter-routing-key": "requests.client-c"}


def test_a_dead_letter_queue_is_bounded_but_may_be_looked_at_without_end():
    policies = {(p["vhost"], p["name"]): p["definition"] for p in definitions()["policies"]}
    dead = policies["enroll.client-c", "dead-letters"]
    assert dead["delivery-limit"] >= 10**9
    assert (dead["max-length"], dead["max-length-bytes"]) == (topology.QUEUE_MESSAGES_MAX, topology.QUEUE_BYTES_MAX)
    assert "dead-letter-exchange" not in dead


def test_users_have_hashes_and_limits_and_no_tags():
    users = {user.pop("name"): user for user in definitions()["users"]}
    assert users["client-b"] == {
        "password_hash": "hash of b",
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": [],
        "limits": {"max-connections": topology.USER_CONNECTIONS_MAX, "max-channels": topology.USER_CONNECTIONS_MAX},
    }
    assert users["client-d"]["password_hash"] == ""


def test_an_organisation_has_permissions_only_where_it_is_issuer_or_requester():
    found = {(p["user"], p["vhost"]) for p in definitions()["permissions"]}
    assert found == {
        ("client-b", "enroll.client-b"),
        ("client-c", "enroll.client-b"),
        ("client-b", "enroll.client-c"),
        ("client-c", "enroll.client-c"),
        ("client-d", "enroll.client-c"),
    }


def test_permissions_are_the_exact_names():
    requester, issuer = granted("client-b", "enroll.client-c"), granted("client-c", "enroll.client-c")
    assert (requester["configure"], requester["write"]) == ("^$", r"^out\.client-b$")
    assert requester["read"] == r"^replies\.client-b$"
    assert (issuer["configure"], issuer["write"], issuer["read"]) == (
        "^$",
        r"^out\.client-c$",
        r"^requests\.client-c$",
    )


@given(pairs)
def test_no_permission_matches_anything_of_another_organisation(pair):
    one, other = pair
    may = topology.permissions(topology.out_exchange(one), topology.reply_queue(one))
    assert matches(may.write, topology.out_exchange(one))
    assert matches(may.read, topology.reply_queue(one))
    theirs = [topology.out_exchange(other), topology.request_queue(other), topology.reply_queue(other), "dlx", ""]
    for name in [*theirs, *map(topology.dead_letter_queue, theirs), topology.request_queue(one)]:
        assert not matches(may.write, name)
        assert not matches(may.read, name)
        assert matches(may.configure, name) == (name == "")


@given(organisations, nearly)
def test_a_permission_matches_its_own_name_and_nothing_that_looks_like_it(one, text):
    may = topology.permissions(topology.out_exchange(one), topology.reply_queue(one))
    assert matches(may.write, f"out.{text}") == (text == one)
    assert matches(may.read, f"replies.{text}") == (text == one)
    assert not matches(may.write, f"outx{one}")
    assert not matches(may.write, f"x{topology.out_exchange(one)}")


def test_definitions_are_the_same_whatever_the_order_of_the_arguments():
    other = topology.definitions({B: [C], C: [D, B, D]}, dict(reversed(USERS.items())))
    assert json.dumps(other) == json.dumps(definitions())


def test_definitions_change_nothing_that_they_were_given():
    issuers, users = {C: [D, B]}, dict(USERS)
    topology.definitions(issuers, users)
    assert (issuers, users) == ({C: [D, B]}, USERS)


def test_definitions_without_a_user_for_an_organisation_are_refused():
    with pytest.raises(ValueError, match="no user for client-c, client-d"):
        topology.definitions({C: [B, D]}, {B: None})


def test_an_organisation_cannot_be_its_own_requester():
    with pytest.raises(ValueError, match="client-c cannot be a requester of itself"):
        topology.definitions({C: [B, C]}, USERS)


def test_declarations_are_the_definitions_of_one_virtual_host():
    held, found, host = topology.declarations(C, [D, B]), definitions(), "enroll.client-c"
    assert [(e.name, e.internal) for e in held.exchanges] == [
        (e["name"], e["internal"]) for e in found["exchanges"] if e["vhost"] == host
    ]
    assert [q.name for q in held.queues] == [q["name"] for q in found["queues"] if q["vhost"] == host]
    assert [(b.exchange, b.queue, b.routing_key) for b in held.bindings] == [
        (b["source"], b["destination"], b["routing_key"]) for b in found["bindings"] if b["vhost"] == host
    ]


def test_declared_queues_carry_the_policy_as_arguments():
    queues = {queue.name: queue.arguments for queue in topology.declarations(C, [B]).queues}
    assert queues["requests.client-c"] == {
        "x-queue-type": "quorum",
        "x-dead-letter-exchange": "dlx",
        "x-dead-letter-routing-key": "requests.client-c",
        "x-dead-letter-strategy": "at-most-once",
        "x-delivery-limit": 20,
        "x-max-length": topology.QUEUE_MESSAGES_MAX,
        "x-max-length-bytes": topology.QUEUE_BYTES_MAX,
        "x-overflow": "reject-publish",
    }
    assert queues["requests.client-c.dead"]["x-delivery-limit"] == topology.DEAD_DELIVERY_LIMIT


def test_a_password_hash_is_salt_and_salted_sha256_in_base64():
    salt = bytes.fromhex("908dc60a")  # the example of RabbitMQ's documentation on passwords
    assert topology.password_hash("test12", salt) == "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR"
    raw = base64.b64decode(topology.password_hash("pässword", salt))
    assert raw == salt + hashlib.sha256(salt + "pässword".encode()).digest()


@pytest.mark.parametrize("salt", [b"", b"abc", b"abcde"])
def test_a_salt_of_another_length_is_refused(salt):
    with pytest.raises(ValueError, match="RabbitMQ reads exactly 4"):
        topology.password_hash("test12", salt)
