from __future__ import annotations

import pytest

from agents.adapters.tls.limits import Limits, Occupancy

SMALL = Limits(half_open_per_address=2, half_open=3, connections=4)


def test_an_address_gets_its_share_and_no_more():
    room = Occupancy(SMALL)
    assert [room.enter("192.0.2.1") for _ in range(3)] == [
        None,
        None,
        "2 handshakes are in progress with this address",
    ]
    assert room.enter("192.0.2.2") is None


def test_a_handshake_that_is_over_makes_room_for_its_address():
    room = Occupancy(SMALL)
    room.enter("192.0.2.1")
    room.enter("192.0.2.1")
    room.handshake_over("192.0.2.1")
    assert room.enter("192.0.2.1") is None


def test_handshakes_are_bounded_in_all():
    room = Occupancy(SMALL)
    assert [room.enter(f"192.0.2.{host}") for host in range(4)] == [None] * 3 + ["3 handshakes are in progress"]


def test_connections_are_bounded_in_all_until_one_leaves():
    room = Occupancy(SMALL)
    for host in range(4):
        assert room.enter(f"192.0.2.{host}") is None
        room.handshake_over(f"192.0.2.{host}")
    assert room.enter("192.0.2.9") == "4 connections are open"
    room.leave()
    assert room.enter("192.0.2.9") is None


def test_who_is_turned_away_is_not_counted():
    room = Occupancy(SMALL)
    for _ in range(10):
        room.enter("192.0.2.1")
    room.handshake_over("192.0.2.1")
    assert room.enter("192.0.2.1") is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("192.0.2.1", "192.0.2.2", False),
    ],
)
def test_an_ipv6_network_of_64_bits_counts_as_one_host(one, other, same):
    room = Occupancy(Limits(half_open_per_address=1))
    assert room.enter(one) is None
    assert (room.enter(other) is not None) is same


def test_visitors_that_are_gone_leave_nothing_behind():
    room = Occupancy(SMALL)
    for host in range(250):
        room.enter(f"192.0.2.{host}")
        room.handshake_over(f"192.0.2.{host}")
        room.leave()
    assert not room._half_open
