"""Memory sizes as people write them."""

import re

import click

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
MAX_BYTES = 1 << 60


def to_size(text: str) -> int:
    """Parse a number of bytes, or a number with K, M, G or T for powers of 1024.

    Raises
    ------
    click.BadParameter
        If it is malformed or out of range.

    Examples
    --------
    >>> to_size("800M"), to_size("1.5GiB")
    (838860800, 1610612736)
    """
    found = re.fullmatch(
        r"([0-9]{1,20}(?:\.[0-9]{1,9})?)([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE
    )
    size = int(float(found[1]) * UNITS[found[2].upper()]) if found else 0
    if not 0 < size <= MAX_BYTES:
        message = f"{text!r} is not a size; write one like 800M or 2G."
        raise click.BadParameter(message)
    return size
