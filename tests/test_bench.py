import json
import time
from pathlib import Path

import bench
import cost
import pytest

from zipocr.batch.backends.processes import MAX_IN_FLIGHT
from zipocr.training.benchmark import figures as manual


def test_a_short_run_measures_everything_and_draws_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.main(["--sizes", "1", "--rounds", "1", "--step", "6", "--into", str(tmp_path)])
    figures = json.loads((tmp_path / "bench.json").read_text())
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")
    assert {"decode only", "floor", "read", "read together"} <= figures["crop"].keys()
    assert figures["stage"].keys() == {"open", *bench.STAGES, "rest"}
    assert all(
        one["low"] <= one["median"] <= one["high"]
        for part in ("crop", "stage")
        for one in figures[part].values()
    )
    # A stage whose function is no longer called would take no time at all.
    assert all(figures["stage"][name]["mean"] > 0 for name in bench.STAGES)
    assert [(run["crops"], run["jobs"]) for run in figures["runs"]] == [
        (1, jobs) for jobs in bench.JOBS
    ]
    assert all(run["parent_mb"] > 10 and run["seconds"]["median"] > 0 for run in figures["runs"])
    output = capsys.readouterr().out
    assert "decode, Otsu, connected components" in output
    assert list(cost.lines(figures))


def test_a_stage_excludes_the_time_spent_in_nested_stages() -> None:
    clock = bench.Clock()
    inner = clock.around("inner", lambda: time.sleep(0.05))
    clock.around("outer", lambda: (inner(), inner()))()
    assert clock.spent["inner"] >= 0.1
    assert clock.spent["outer"] < clock.spent["inner"]


def test_the_spread_has_median_quartiles_mean_and_count() -> None:
    assert bench.spread([1.0, 2.0, 3.0, 4.0, 10.0]) == {
        "median": 3,
        "low": 2,
        "high": 4,
        "mean": 4,
        "count": 5,
    }


def test_the_cost_of_one_more_crop_comes_from_the_next_smaller_run() -> None:
    runs = [
        {"crops": size, "jobs": 1, "seconds": {"median": 0.5 + 0.002 * size}}
        for size in (10, 1_000, 10_000)
    ]
    other = {"crops": 5_000, "jobs": 2, "seconds": {"median": 1.0}}
    assert [bench.for_more(run, [*runs, other]) for run in (*runs, other)] == ["", "", "2.00", ""]


def test_two_workers_are_compared_with_one_where_startup_does_not_dominate() -> None:
    runs = [
        {"crops": size, "jobs": jobs, "seconds": {"median": 1 + size / jobs}}
        for size in (10, 1_000, 9_999)
        for jobs in (1, 2)
    ]
    assert bench.gains(runs) == [
        "",
        "Against one worker, two are 2.00 times as fast on 1,000 crops, 2.00 times as fast on "
        "9,999 crops.",
    ]
    assert bench.gains(runs[:2]) == []


@pytest.mark.parametrize(("name", "lines"), [("bench", bench.lines), ("cost", cost.lines)])
def test_the_manual_shows_the_latest_measurements(name: str, lines: object) -> None:
    figures = json.loads(bench.RECORD.read_text())
    assert callable(lines)
    assert manual.render(manual.load(bench.ROOT)[name]) == list(lines(figures))


FIGURES = {
    "crop": {"read together": {"mean": 20.0}},
    "input_bytes": 5_000,
    "runs": [{"worker_mb": 0, "parent_mb": 200}, {"worker_mb": 512, "parent_mb": 100}],
}


def test_the_cost_of_bulk_mail_follows_from_the_cost_of_one_crop() -> None:
    found = cost.estimate(FIGURES, cost.Assumed(images=864_000_000, hours=24, row_bytes=50))
    assert found.images_per_second == 10_000
    assert found.cores == pytest.approx(200)
    assert found.core_hours == pytest.approx(4_800)
    assert found.memory_gb == pytest.approx(100)
    assert found.bytes_in == pytest.approx(4.32e12)
    assert found.bytes_out == pytest.approx(4.32e10)
    assert found.parts == 86_400
    assert found.messages == pytest.approx(216e6)


def test_the_first_bottleneck_is_named_with_its_limit() -> None:
    limits = {"the process that takes all results, at 100 crops": {"rows_per_second": 100.0}}
    limits |= {"the Dask scheduler, at 40 crops": {"messages_per_second": 10.0}}
    for name, much in limits.items():
        assert name in list(cost.lines(FIGURES, cost.Assumed(**much)))[-1]
    assert "One run would do." in list(cost.lines(FIGURES, cost.Assumed(images=1_000)))[-1]
    assert "Too much for one run" in list(cost.lines(FIGURES, cost.Assumed(hours=0.1)))[-1]


def test_the_shard_size_of_the_estimate_is_that_of_the_backend() -> None:
    pytest.importorskip("distributed")
    from zipocr.batch.backends import dask

    assert dask.SHARD == cost.SHARD
    assert dask.SHARD * dask.SHARDS_UNDER_WAY == MAX_IN_FLIGHT
