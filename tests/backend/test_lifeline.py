"""What rank 0 concludes from what it hears: who has stopped, for whom, and who will never meet."""

import pytest

from miniframe.backend.lifeline import Lifeline, Place, apart
from miniframe.backend.meeting import DistributedError

STEP, SUMS = "fit, training on a batch", "fit, adding up numbers"


@pytest.mark.parametrize(
    "here, there, waits, waits_there, words",
    [
        (Place(2, 5, STEP), Place(2, 9, STEP), False, False, None),  # one is behind
        (Place(2, 5, SUMS), Place(2, 4, STEP), True, False, None),
        (Place(2, 5, SUMS), Place(1, 9, STEP), True, False, None),
        (Place(2, 5, SUMS, 40), Place(2, 5, SUMS, 40), True, True, None),
        (Place(2, 5, SUMS, 40), Place(2, 5, SUMS, 30), True, True, "has seen 40 samples, and rank {} 30"),
        (Place(2, 5, SUMS), Place(2, 5, STEP), True, False, f"rank {{}} is at {SUMS}, and rank {{}} at {STEP}"),
        (Place(2, 5, SUMS), Place(2, 6, STEP), True, False, f"rank {{}} is at {SUMS}, and rank {{}} at {STEP}"),
        (Place(3, 1, STEP), Place(2, 6, SUMS), False, True, f"rank {{}} is at {STEP}, and rank {{}} at {SUMS}"),
    ],
)
def test_ranks_that_will_never_meet_are_found(here, there, waits, waits_there, words):
    found = apart(here, there, waits, waits_there)
    assert found is None if words is None else words in found


def line():
    """Rank 0 of three, that nobody is connected to; what it hears is handed in."""
    heard = Lifeline(0, 3, 60)
    heard.place = Place(5, 2, SUMS)
    return heard


def test_an_error_counts_for_the_training_it_happened_in_only():
    hub = line()
    hub._receive(1, {"kind": "leaves", "section": 5, "words": "ValueError: no"})
    assert hub.problem() == "rank 1 stopped: ValueError: no"
    hub.place = Place(6, 1, SUMS)
    assert hub.problem() is None


def test_a_process_may_end_after_what_all_did_together_and_is_missed_afterwards():
    hub = line()
    hub._receive(2, {"kind": "leaves", "section": 5, "words": ""})
    hub._missed(2, "rank 2 stopped: its process has ended")
    assert hub.problem() is None
    hub.place = Place(6, 1, SUMS)
    with pytest.raises(DistributedError, match="rank 2 stopped: its process has ended"):
        hub.gather(None)


def test_a_late_sign_of_life_from_an_earlier_place_changes_nothing():
    hub = line()
    hub._receive(1, {"kind": "asks", "place": Place(5, 2, SUMS), "value": 1})
    hub._receive(1, {"kind": "is at", "place": Place(5, 1, STEP)})
    hub._receive(2, {"kind": "asks", "place": Place(5, 2, SUMS), "value": 2})
    assert hub.gather(0) == [0, 1, 2]
    hub._receive(1, {"kind": "is at", "place": Place(5, 2, SUMS)})
    hub._receive(2, {"kind": "is at", "place": Place(5, 3, STEP)})
    assert hub.problem() is None
