"""Install the wheel alone, without extras, and use it: ``python tests/smoke.py WHEEL``.

Once with the oldest supported Python and the lowest versions of the dependencies, and once with the
newest Python on PATH and the newest versions. Each gets an empty environment.
"""

import csv
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from shutil import which
from typing import Any

ROOT = Path(__file__).parents[1]
SCAN = ROOT / "sample_scans" / "white" / "white-01.png"
NEWEST_MINOR = 30
SEE = "import sys; print('.'.join(map(str, sys.version_info[:3])))"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def main(wheel: Path) -> None:
    """Try the wheel with the oldest and with the newest Python."""
    pythons = find_pythons()
    try_wheel(wheel, pythons[min(pythons)], lowest_versions(PROJECT["dependencies"]))
    try_wheel(wheel, pythons[max(pythons)], [])


def find_pythons() -> dict[tuple[int, ...], str]:
    """Find the supported Pythons that run: this one, and those on PATH by name."""
    oldest = int(PROJECT["requires-python"].removeprefix(">=3."))
    names = [which(f"python3.{minor}") for minor in range(oldest, NEWEST_MINOR)]
    found = {}
    for python in (sys.executable, *filter(None, names)):
        done = subprocess.run([python, "-c", SEE], capture_output=True, text=True, check=False)
        if not done.returncode:  # version managers put stubs on PATH for Pythons not selected
            found[tuple(map(int, done.stdout.split(".")))] = python
    return found


def lowest_versions(requirements: Sequence[str]) -> list[str]:
    """Pin requirements to the lowest versions that they allow.

    >>> lowest_versions(["click>=8.2"])
    ['click==8.2']
    """
    return [re.sub(r"^([\w-]+)>=([\d.]+)$", r"\1==\2", one) for one in requirements]


def try_wheel(wheel: Path, python: str, pins: Sequence[str]) -> None:
    """Install a wheel into an empty environment; check its version, a scan and a missing extra."""
    with tempfile.TemporaryDirectory() as folder:
        run(python, "-m", "venv", "--without-pip", folder)
        (programs,) = [path for path in Path(folder).iterdir() if path.name in {"bin", "Scripts"}]
        inner = str(programs / "python")
        pip = [sys.executable, "-m", "pip", "--python", inner, "--disable-pip-version-check"]
        run(*pip, "install", "--quiet", str(wheel), *pins)
        zipocr = str(programs / "zipocr")
        version = run(zipocr, "--version", cwd=folder).stdout.split()[-1]
        expect(version == wheel.name.split("-")[1], f"{version} is not the wheel's version")
        run(zipocr, "scan", str(SCAN), "-o", "results.csv", cwd=folder)
        with (Path(folder) / "results.csv").open(encoding="utf-8") as file:
            (row,) = csv.DictReader(file)
        expect((row["zip"], row["status"]) == (true_zip(), "read"), f"{SCAN.name} was read {row}")
        missing = run(zipocr, "review", "results.csv", cwd=folder, code=2).stderr
        expect("pip install 'zipocr[review]'" in missing, f"no extra is named: {missing}")
        said = run(inner, "-c", SEE).stdout.strip()
    versions = "the lowest" if pins else "the newest"
    print(f"smoke test: wheel {version} without extras, Python {said}, {versions} dependencies: ok")


def true_zip() -> str:
    """Look up the label of the scan."""
    with (ROOT / "sample_scans" / "labels.csv").open(encoding="utf-8") as file:
        name = SCAN.relative_to(ROOT / "sample_scans").as_posix()
        return next(row["zip"] for row in csv.DictReader(file) if row["file"] == name)


def run(*words: str, cwd: str | None = None, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a command, which must end with ``code``."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=cwd)
    expect(done.returncode == code, f"{' '.join(words)}: {done.returncode}\n{done.stderr}")
    return done


def expect(holds: bool, otherwise: str) -> None:
    """Exit with a message unless a condition holds."""
    if not holds:
        sys.exit(otherwise)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
