"""Several people who review one results file are shown different pages."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread

import pytest
from reviewing import row, unread

from zipocr.results.corrections import open_corrections
from zipocr.review.claims import CLAIM_SECONDS, Claims, Key
from zipocr.review.queue import line_up
from zipocr.review.session import Answer, Conflict, Session
from zipocr.storage.locks import take

KEYS: list[Key] = [(f"{number}.png", 1) for number in range(9)]
ITEMS = line_up([unread(f"{number}.png") for number in range(8)])


class Clock:
    """Shows the time that it is set to."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def claims(folder: Path, who: str, clock: Clock) -> Claims:
    return Claims(path=folder / "results.csv.claims", labels=folder / who, clock=clock)


@contextmanager
def sessions(folder: Path, clock: Clock, *people: str) -> Iterator[list[Session]]:
    with ExitStack() as stack:
        opened = [stack.enter_context(open_corrections(folder / who)) for who in people]
        pairs = zip(people, opened, strict=True)
        yield [Session(ITEMS, each, claims=claims(folder, who, clock)) for who, each in pairs]


def test_two_reviewers_get_different_pages_and_keep_them(tmp_path: Path, clock: Clock) -> None:
    ann, bob = (claims(tmp_path, who, clock) for who in ("ann.csv", "bob.csv"))
    assert ann.take(KEYS, 3) == KEYS[:3]
    assert bob.take(KEYS, 3) == KEYS[3:6]
    assert ann.take(KEYS, 3) == KEYS[:3]
    assert ann.take(KEYS, 9) == [*KEYS[:3], *KEYS[6:]]
    # Whoever restarts with the same corrections is the same person.
    assert claims(tmp_path, "bob.csv", clock).take(KEYS, 3) == KEYS[3:6]


def test_a_claim_expires_after_some_minutes_unless_its_page_is_asked_for_again(
    tmp_path: Path, clock: Clock
) -> None:
    ann, bob = (claims(tmp_path, who, clock) for who in ("ann.csv", "bob.csv"))
    ann.take(KEYS, 1)
    clock.now += CLAIM_SECONDS * 0.9
    assert bob.take(KEYS, 1) == KEYS[1:2]
    assert ann.take(KEYS, 1) == KEYS[:1]
    clock.now += CLAIM_SECONDS * 0.9
    assert claims(tmp_path, "cid.csv", clock).take(KEYS, 1) == KEYS[2:3]
    clock.now += CLAIM_SECONDS * 0.2
    assert bob.take(KEYS, 1) == KEYS[:1]
    assert ann.take(KEYS[:1], 1) == []


def test_decided_pages_stay_claimed_as_long_as_their_corrections_exist(
    tmp_path: Path, clock: Clock
) -> None:
    ann, bob = (claims(tmp_path, who, clock) for who in ("ann.csv", "bob.csv"))
    (tmp_path / "ann.csv").touch()
    ann.decide(KEYS[:2])
    clock.now += 100 * CLAIM_SECONDS
    assert bob.take(KEYS, 2) == KEYS[2:4]
    assert (bob.is_decided(KEYS[0]), bob.is_decided(KEYS[2])) == (True, False)
    ann.release(KEYS[:1])
    assert bob.take(KEYS, 1) == KEYS[:1]
    (tmp_path / "ann.csv").unlink()
    assert bob.take(KEYS, 2) == KEYS[:2]


def test_no_page_is_given_to_two_who_ask_at_the_same_time(tmp_path: Path, clock: Clock) -> None:
    given: list[Key] = []

    def ask(who: str) -> None:
        own = claims(tmp_path, who, clock)
        for _ in range(5):
            found = own.take([key for key in KEYS * 3 if key not in given], 1)
            own.decide(found)
            given.extend(found)

    for who in "abc":
        (tmp_path / who).touch()
    people = [Thread(target=ask, args=[who]) for who in "abc"]
    for one in people:
        one.start()
    for one in people:
        one.join()
    assert sorted(given) == sorted(set(given))
    assert len(given) == len(KEYS)


@pytest.mark.parametrize("line", ["{}", "x", "[" * 99, '{"file": "0.png", "page": "x"}', "\x00"])
def test_a_damaged_line_claims_nothing(tmp_path: Path, clock: Clock, line: str) -> None:
    claims(tmp_path, "ann.csv", clock).take(KEYS, 1)
    path = tmp_path / "results.csv.claims"
    path.write_text(f"{line}\n{path.read_text()}")
    assert claims(tmp_path, "bob.csv", clock).take(KEYS, 1) == KEYS[1:2]


def test_if_claims_cannot_be_saved_the_review_continues_and_says_so(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = Claims(path=tmp_path / "missing" / "x.claims", labels=tmp_path / "a.csv", clock=clock)
    assert lost.take(KEYS, 2) == KEYS[:2]
    assert "x.claims" in lost.trouble
    monkeypatch.setattr("zipocr.review.claims.PATIENCE_SECONDS", 0.05)
    busy = claims(tmp_path, "ann.csv", clock)
    with take(busy.path, busy="busy"):
        assert busy.take(KEYS, 2) == KEYS[:2]
    assert "Another review keeps" in busy.trouble


def test_two_sessions_share_the_pages_and_no_decision_is_made_twice(
    tmp_path: Path, clock: Clock
) -> None:
    with sessions(tmp_path, clock, "ann.csv", "bob.csv") as (ann, bob):
        assert (ann.coming(3), bob.coming(3)) == ([0, 1, 2], [3, 4, 5])
        assert bob.elsewhere == {"claimed": 3, "decided": 0}
        ann.decide(0, Answer.ACCEPT, "02108")
        with pytest.raises(Conflict, match=r"0\.png, page 1, went to another reviewer"):
            bob.decide(0, Answer.ACCEPT, "02109")
        with pytest.raises(Conflict, match="went to another reviewer"):
            bob.decide(1, Answer.NOT_A_ZIP, "")
        bob.decide(3, Answer.NOT_A_ZIP, "")
        bob.decide(4, Answer.SKIP, "")
        assert ann.coming(9) == [1, 2, 4, 6, 7]  # skipped pages are open to others
        assert bob.coming(1) == [5]
        assert bob.elsewhere == {"claimed": 4, "decided": 1}
        ann.undo(ann.revision)
        assert ann.coming(1) == [0]
        ann.close()
        assert bob.coming(9) == [0, 1, 2, 5, 6, 7]
    assert "0.png" not in (tmp_path / "bob.csv").read_text()


def test_pages_decided_before_there_were_claims_are_not_shown_to_others(
    tmp_path: Path, clock: Clock
) -> None:
    with open_corrections(tmp_path / "ann.csv") as corrections:
        Session(ITEMS, corrections).decide(0, Answer.ACCEPT, "02108")
    with sessions(tmp_path, clock, "ann.csv", "bob.csv") as (_, bob):
        assert bob.coming(1) == [1]


def test_a_claim_names_its_page_as_results_do(tmp_path: Path, clock: Clock) -> None:
    claims(tmp_path, "ann.csv", clock).take([("=\udcff\n.png", 2)], 1)
    claim = json.loads((tmp_path / "results.csv.claims").read_text())
    assert (claim["file"], claim["page"]) == ("./=\\xff\\x0a.png", 2)
    bob = claims(tmp_path, "bob.csv", clock)
    assert bob.take([("=\udcff\n.png", 2), (row().file, 1)], 1) == [("a.png", 1)]
