from pathlib import Path
from threading import Barrier, Thread

import pytest
from reviewing import row, unread

from zipocr.errors import OutputError
from zipocr.results.corrections import (
    CorrectionsFile,
    SampledAs,
    Verdict,
    open_corrections,
    read_corrections,
)
from zipocr.review.queue import line_up
from zipocr.review.session import PAUSE, Answer, Conflict, Pace, Refused, Session
from zipocr.types import Status

ITEMS = line_up(
    [
        unread("a.png"),
        row("b.png", "02108", 0.1),
        row("c.png", "02108-1234", 0.2),
        row("d.png", "10001", 0.3),
    ]
)


@pytest.fixture
def session(corrections: CorrectionsFile) -> Session:
    return Session(ITEMS, corrections)


def lines(path: Path) -> list[tuple[str, ...]]:
    return [tuple(line.split(",")[:6]) for line in path.read_text().splitlines()[1:]]


def test_each_answer_writes_its_line(session: Session, path: Path) -> None:
    session.decide(0, Answer.ACCEPT, "02109")
    session.decide(1, Answer.ACCEPT, "02108")
    session.decide(2, Answer.SKIP, "")
    session.decide(3, Answer.NOT_A_ZIP, "")
    assert lines(path) == [
        ("a.png", "1", "", "02109", "corrected", "doubt"),
        ("b.png", "1", "02108", "02108", "confirmed", "doubt"),
        ("c.png", "1", "02108-1234", "", "skipped", "doubt"),
        ("d.png", "1", "10001", "", "not_a_zip", "doubt"),
    ]
    assert session.counts == {"confirmed": 1, "corrected": 1, "not_a_zip": 1, "skipped": 1}


def test_the_sample_is_marked_as_such(corrections: CorrectionsFile, path: Path) -> None:
    items = line_up([row("r.png", status=Status.READ)], audit=1)
    Session(items, corrections).decide(0, Answer.ACCEPT, "02108")
    assert read_corrections(path)["r.png", 1].drawn is SampledAs.AUDIT


def test_a_new_session_continues_where_the_last_one_stopped(path: Path) -> None:
    with open_corrections(path) as corrections:
        session = Session(ITEMS, corrections)
        session.decide(0, Answer.SKIP, "")
        session.decide(1, Answer.ACCEPT, "02108")
        session.decide(2, Answer.ACCEPT, "02108")
        session.undo(session.revision)
    with open_corrections(path) as corrections:
        session = Session(ITEMS, corrections)
        assert session.coming(9) == [2, 3]
        session.undo(session.revision)
        assert session.coming(9) == [1, 2, 3]
        session.undo(session.revision)
        assert session.coming(9) == [0, 1, 2, 3]
        assert not session.can_undo
    assert read_corrections(path) == {}


def test_a_page_is_decided_once(session: Session, path: Path) -> None:
    session.decide(1, Answer.ACCEPT, "02108")
    with pytest.raises(Conflict, match=r"b.png, page 1, is already decided: 02108"):
        session.decide(1, Answer.ACCEPT, "99999")
    session.decide(0, Answer.NOT_A_ZIP, "")
    with pytest.raises(Conflict, match="not a ZIP"):
        session.decide(0, Answer.SKIP, "")
    assert len(lines(path)) == 2


def test_only_one_of_many_simultaneous_decisions_counts(session: Session, path: Path) -> None:
    barrier, outcomes = Barrier(8), []

    def decide(zip_: str) -> None:
        barrier.wait()
        try:
            session.decide(1, Answer.ACCEPT, zip_)
            outcomes.append(zip_)
        except Conflict:
            pass

    threads = [Thread(target=decide, args=[f"0210{number}"]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert [line[3] for line in lines(path)] == outcomes
    assert len(outcomes) == 1


def test_a_stale_view_undoes_nothing(session: Session) -> None:
    session.decide(1, Answer.ACCEPT, "02108")
    seen = session.revision
    session.decide(2, Answer.ACCEPT, "02109")
    with pytest.raises(Conflict, match=r"c\.png.*02109.*Press u again"):
        session.undo(seen)
    assert session.coming(9) == [0, 3]
    session.undo(session.revision)
    assert session.coming(9) == [0, 2, 3]


@pytest.mark.parametrize(
    "zip_",
    [
        "",
        "1234",
        "123456",
        "12345-",
        "12345-678",
        "1234567890",
        "abcde",
        "\uff11\uff12\uff13\uff14\uff15",
    ],
)
def test_an_invalid_zip_is_not_accepted(session: Session, path: Path, zip_: str) -> None:
    with pytest.raises(Refused, match="not a ZIP"):
        session.decide(0, Answer.ACCEPT, zip_)
    assert lines(path) == []


@pytest.mark.parametrize("number", [-1, 4, 10**9])
def test_a_page_number_out_of_range_is_refused(session: Session, number: int) -> None:
    with pytest.raises(Refused, match="no such page"):
        session.decide(number, Answer.SKIP, "")


def test_undo_is_refused_when_nothing_is_decided(session: Session) -> None:
    with pytest.raises(Refused, match="nothing"):
        session.undo(0)


def test_a_decision_that_cannot_be_written_does_not_count(
    session: Session, corrections: CorrectionsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        message = "full"
        raise OutputError(message)

    monkeypatch.setattr(corrections, "append", fail)
    with pytest.raises(OutputError):
        session.decide(0, Answer.SKIP, "")
    assert session.coming(9) == [0, 1, 2, 3]


def test_skipped_pages_can_be_decided_after_all(session: Session, path: Path) -> None:
    for number in range(4):
        session.decide(number, Answer.SKIP, "")
    assert session.coming(9) == []
    session.reopen_skipped()
    session.decide(0, Answer.ACCEPT, "02109")
    assert session.coming(9) == [1, 2, 3]
    assert list(read_corrections(path)) == [("a.png", 1)]


def test_the_pace_is_the_median_and_ignores_pauses() -> None:
    now = [0.0]
    pace = Pace(clock=lambda: now[0])
    pace.look()
    assert pace.seconds is None
    for seconds in (1, 2, PAUSE + 1, 30, 2):
        now[0] += seconds
        pace.tick()
    assert pace.seconds == 2
    assert pace.decided == 5


def test_decisions_about_other_results_do_not_count(path: Path) -> None:
    with open_corrections(path) as corrections:
        Session(line_up([row("other.png")]), corrections).decide(0, Answer.ACCEPT, "02108")
        session = Session(ITEMS, corrections)
        assert session.coming(9) == [0, 1, 2, 3]
        assert not session.can_undo
        assert session.counts[Verdict.CONFIRMED] == 0


def test_skipped_and_undone_pages_do_not_count_as_decided(session: Session) -> None:
    session.decide(0, Answer.ACCEPT, "02109")
    session.decide(1, Answer.SKIP, "")
    assert session.pace.decided == 1
    session.undo(session.revision)
    assert session.pace.decided == 1
    session.undo(session.revision)
    assert session.pace.decided == 0
