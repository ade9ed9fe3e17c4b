"""A long list is looked at page by page, and nothing in it is missed, whatever is stuck or changes."""

from agents.service.rotation import Rotation


def rotation_over(items, size):
    """Items are numbers, in order, as rows of a ledger are."""
    return Rotation(lambda last: [one for one in items if last is None or one > last][:size], size)


def pages(rotation, count):
    return [list(rotation.next_page()) for _ in range(count)]


def test_after_the_last_page_comes_the_first():
    assert pages(rotation_over([1, 2, 3, 4, 5], 2), 4) == [[1, 2], [3, 4], [5], [1, 2]]


def test_a_list_that_fits_one_page_is_seen_whole_each_time():
    assert pages(rotation_over([1, 2, 3], 4), 2) == [[1, 2, 3], [1, 2, 3]]


def test_whole_pages_are_followed_by_an_empty_one():
    assert pages(rotation_over([1, 2], 2), 3) == [[1, 2], [], [1, 2]]


def test_what_is_done_and_gone_moves_nothing_out_of_sight():
    items = [1, 2, 3, 4, 5]
    rotation = rotation_over(items, 2)
    assert rotation.next_page() == [1, 2]
    items.remove(1)
    items.remove(2)
    items.append(6)
    assert pages(rotation, 3) == [[3, 4], [5, 6], []]
    assert rotation.next_page() == [3, 4]
