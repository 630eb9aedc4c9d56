"""Estimate the cost of reading bulk mail: ``python tests/cost.py [--write]``.

Measurements come from tests/bench.json; assumptions are below. With --write the result goes into
the manual.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zipocr.config import ScanConfig
from zipocr.training.benchmark import figures as manual
from zipocr.training.benchmark.figures import markdown

ROOT = Path(__file__).parents[1]
RECORD = ROOT / "tests" / "bench.json"
SHARD = 16
"""Inputs per message to the Dask scheduler; a test ties it to the backend, which needs Dask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """Assumptions that were not measured here: round, conservative figures."""

    images: int = 841_000_000
    """A year of mail that US sorting machines could not read (USPS, 2025)."""
    hours: float = 24.0
    """The time available."""
    row_bytes: float = 40.0
    """Size of a row in a Parquet part."""
    messages: int = 4
    """To and from the Dask scheduler per shard: submitted, assigned, finished, fetched."""
    messages_per_second: float = 4_000.0
    """What one Dask scheduler can handle."""
    rows_per_second: float = 10_000.0
    """What the one process that collects all results can receive, write and count."""
    fetch_ms: float = 30.0
    """Time to fetch one object from S3, during which the core is idle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The estimated cost."""

    core_hours: float
    cores: float
    memory_gb: float
    bytes_in: float
    bytes_out: float
    parts: int
    messages: float
    images_per_second: float
    scheduler_share: float
    client_share: float


def estimate(figures: Mapping[str, Any], assumed: Assumed) -> Cost:
    """Estimate from the mean time of a crop, so that rare slow ones count in proportion."""
    seconds = figures["crop"]["read together"]["mean"] / 1000
    core_hours = assumed.images * seconds / 3600
    messages = assumed.images / SHARD * assumed.messages
    images_per_second = assumed.images / (assumed.hours * 3600)
    worker_mb = max(run["worker_mb"] or run["parent_mb"] for run in figures["runs"])
    return Cost(
        core_hours=core_hours,
        cores=core_hours / assumed.hours,
        memory_gb=core_hours / assumed.hours * worker_mb / 1024,
        bytes_in=assumed.images * figures["input_bytes"],
        bytes_out=assumed.images * assumed.row_bytes,
        parts=-(-assumed.images // ScanConfig().shard_size),
        messages=messages,
        images_per_second=images_per_second,
        scheduler_share=messages / (assumed.hours * 3600) / assumed.messages_per_second,
        client_share=images_per_second / assumed.rows_per_second,
    )


def lines(figures: Mapping[str, Any], assumed: Assumed | None = None) -> Iterator[str]:
    """Format the estimate in Markdown, ending with the first bottleneck."""
    assumed = assumed or Assumed()
    cost = estimate(figures, assumed)
    mean, kilobytes = figures["crop"]["read together"]["mean"], figures["input_bytes"] / 1000
    rows = [
        ("one crop, measured (mean)", f"{mean:.1f} ms of a core, {kilobytes:.1f} kB"),
        ("core hours", f"{cost.core_hours:,.0f}"),
        (f"cores, to be done in {assumed.hours:g} hours", f"{cost.cores:,.0f}"),
        ("memory of their workers", f"{cost.memory_gb:,.0f} GB"),
        (
            "bytes in",
            f"{cost.bytes_in / 1e12:.1f} TB, "
            f"{8 * cost.bytes_in / assumed.hours / 3600 / 1e9:.2f} Gbit/s all the time",
        ),
        (f"bytes out, at {assumed.row_bytes:g} a row", f"{cost.bytes_out / 1e9:.0f} GB"),
        (f"parts of {ScanConfig().shard_size:,}", f"{cost.parts:,}"),
        (
            f"messages of a Dask scheduler, {assumed.messages} for {SHARD} crops",
            f"{cost.messages / 1e6:,.0f} million",
        ),
        (
            f"of the {assumed.messages_per_second:,.0f} a second that it keeps up with",
            f"{cost.scheduler_share:.0%}",
        ),
        (
            f"of the {assumed.rows_per_second:,.0f} rows a second that one process takes in",
            f"{cost.client_share:.0%}",
        ),
        (
            f"of a core that waits {assumed.fetch_ms:g} ms for each object of S3, in use",
            f"{mean / (mean + assumed.fetch_ms):.0%}",
        ),
    ]
    yield (
        "Assumed, not measured: every figure per row, per second and per request. The "
        "rest follows from the table above."
    )
    yield ""
    yield from markdown((f"{assumed.images / 1e6:,.0f} million crops", ""), rows)
    yield ""
    yield weakest(cost)


def weakest(cost: Cost) -> str:
    """Name the first bottleneck, and what to do about it."""
    shares = {
        "the process that takes all results": cost.client_share,
        "the Dask scheduler": cost.scheduler_share,
    }
    name = max(shares, key=lambda name: shares[name])
    fits = cost.images_per_second / shares[name]
    breaks = (
        "Too much for one run, because of"
        if shares[name] > 1
        else "One run would do. What breaks first is"
    )
    loss = (
        "A run that is killed loses the crops that it has read of one part, "
        f"{ScanConfig().shard_size:,} at most."
    )
    return (
        f"{breaks} {name}, at {fits:,.0f} crops a second; from there on cut the manifest, and give "
        f"each piece a run. {loss}"
    )


def main() -> None:
    """Print the estimate, and with --write put it into the manual."""
    found = list(lines(json.loads(RECORD.read_bytes())))
    print(*found, sep="\n")
    if "--write" in sys.argv[1:]:
        manual.record(ROOT, {"cost": found})


if __name__ == "__main__":
    main()
