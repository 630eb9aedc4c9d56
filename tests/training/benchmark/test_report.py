from zipocr.training.benchmark.measure import Recall
from zipocr.training.benchmark.metrics import Answer
from zipocr.training.benchmark.report import (
    Measured,
    ablation_table,
    compact_table,
    floor,
    full_table,
    kinds_table,
    recall_table,
    reliability_table,
    strings_table,
    summary_table,
)


def answers(right: int, count: int, kind: str = "white") -> list[Answer]:
    """So many of them right, and these accepted."""
    return [
        Answer(
            kind=kind,
            is_right=hit,
            confidence=0.9 if hit else 0.2,
            accepted=hit,
            place=0 if hit else 1,
        )
        for hit in (place < right for place in range(count))
    ]


MEASURED = Measured(crops="dev", model="mail", answers=(answers(9, 10), answers(8, 10)))


def test_the_compact_table_has_a_row_with_the_directory_and_one_without():
    lines = compact_table([MEASURED])
    assert len(lines) == 4
    assert lines[2].startswith("| `dev` | `mail` | yes | 10 | 0.900 |")
    assert lines[3].startswith("| `dev` | `mail` | no | 10 | 0.800 |")
    assert len({line.count("|") for line in lines}) == 1


def test_the_summary_has_the_rows_of_one_model():
    other = Measured(crops="dev", model="digits", answers=MEASURED.answers)
    lines = summary_table([MEASURED, other], "mail")
    assert [line.split(" | ")[1:4] for line in lines[2:]] == [
        ["yes", "10", "0.900"],
        ["no", "10", "0.800"],
    ]


def test_the_table_of_kinds_has_a_row_for_each_kind_of_each_set():
    mixed = [*answers(1, 2), *answers(3, 4, "kraft")], [*answers(0, 2), *answers(4, 4, "kraft")]
    lines = kinds_table({"composed": mixed, "`envelopes`": (answers(2, 2), answers(1, 2))})
    assert [line.split(" | ")[:4] for line in lines[2:]] == [
        ["| composed", "kraft", "4", "0.750"],
        ["| composed", "white", "2", "0.500"],
        ["| composed", "all", "6", "0.667"],
        ["| `envelopes`", "all", "2", "1.000"],
    ]
    assert lines[2].endswith("| 1.000 |")


def test_the_full_table_has_a_row_for_each_kind_and_one_over_all():
    lines = full_table([*answers(1, 2), *answers(3, 4, "kraft")])
    assert [line.split()[:3] for line in lines[1:]] == [
        ["kraft", "4", "0.750"],
        ["white", "2", "0.500"],
        ["all", "6", "0.667"],
    ]
    assert len({len(line) for line in lines}) == 1


def test_the_reliability_table_has_a_row_for_each_bin_in_use():
    assert [line.split() for line in reliability_table(answers(3, 5))[1:]] == [
        ["0.200", "0.000", "2"],
        ["0.900", "1.000", "3"],
    ]


def test_the_ablation_says_what_is_lost_in_points():
    lines = ablation_table(MEASURED.answers, {"cuts": (answers(7, 10), answers(8, 10))})
    assert lines[2] == "| (nothing: all parts) | 0.900 |  | 0.800 |  |"
    assert lines[3].startswith("| directory | 0.800 | -10.0 ± ")
    assert lines[4].startswith("| cuts | 0.700 | -20.0 ± ")
    assert lines[4].endswith("| 0.800 | +0.0 ± 0.0 |")


def test_the_table_of_strings_sets_touching_and_printed_apart():
    mixed = [*answers(1, 2), *answers(3, 4, "touching"), *answers(4, 4, "printed")]
    line = strings_table([Measured(crops="composed", model="mail", answers=(mixed, mixed))])[2]
    assert [cell.strip() for cell in line.split("|")][3:8] == [
        "10",
        "0.800",
        "0.227",
        "0.750",
        "1.000",
    ]


def test_the_recall_tells_touching_and_printed_from_the_rest():
    kinds = (("touching", False), ("white", True), ("kraft", False))
    found = [Recall(kind=kind, at_centres=whole, as_read=True) for kind, whole in kinds]
    assert recall_table(found, by_kind=False)[2:] == [
        "| other handwriting | 2 | 0.500 | 1.000 |",
        "| touching | 1 | 0.000 | 1.000 |",
        "| all | 3 | 0.333 | 1.000 |",
    ]
    assert len(recall_table(found, by_kind=True)) == 6


def test_a_model_is_held_to_its_exact_share_and_to_the_wrong_among_the_accepted():
    assert floor(MEASURED.answers) == (0.9, 0.8, 0.0)
