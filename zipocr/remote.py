"""The door to files that are not on this machine: objects of S3, and of what speaks like it. Needs the extra ``s3``."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

from zipocr.errors import InputError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_SCHEME = "s3://"
# What S3 says where one object may not be read; other trouble with permissions (a key that is wrong or has run out) is trouble with all.
_DENIED = frozenset({"AccessDenied", "Forbidden", "403"})


@dataclass(frozen=True, slots=True)
class Url:
    """Where a file lies that is not on this machine."""

    text: str

    def __str__(self) -> str:
        """Give it as it was given."""
        return self.text


def is_url(text: str) -> bool:
    """Tell a URL from a path.

    Examples
    --------
    >>> is_url("s3://mail/1.png"), is_url("mail/1.png"), is_url("C:/1.png")
    (True, False, False)
    """
    return _URL.match(text) is not None


def fetch(url: Url, *, most: int) -> bytes:
    """Bring the contents of a file here, in one request.

    Parameters
    ----------
    url : Url
        Of the form ``s3://bucket/key``.
    most : int
        Of a larger file so many bytes come, and one more.

    Returns
    -------
    bytes
        The contents.

    Raises
    ------
    OSError
        If there is no such file, or it may not be read. ``strerror`` says why.
    InputError
        If S3 cannot be reached, which is not the file's fault, or the extra is not installed.
    """
    if not url.text.startswith(_SCHEME):
        raise OSError(errno.EPROTONOSUPPORT, f"of URLs only those that begin with {_SCHEME} are read")
    with _translated(url):
        try:
            data: bytes = _s3().cat_file(url.text, start=0, end=most + 1)
        except OSError as error:
            # There is no first byte to ask for in an empty file.
            if error.errno != errno.EINVAL or _s3().size(url.text):
                raise
            return b""
        return data


def etag(url: Url) -> str:
    """Tell what S3 has to know the contents of a file by; nothing where there is no such file.

    Raises
    ------
    InputError
        As `fetch`.
    """
    with suppress(OSError), _translated(url):
        if url.text.startswith(_SCHEME):
            return str(_s3().info(url.text).get("ETag", ""))
    return ""


@contextmanager
def _translated(url: Url) -> Iterator[None]:
    """Tell trouble with one file from trouble with all."""
    try:
        yield
    except FileNotFoundError:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory") from None
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 - what the libraries beneath raise is not documented
        if _code(error) in _DENIED:
            raise PermissionError(errno.EACCES, "Permission denied") from None
        message = f"{url.text} could not be fetched ({error!r}). When S3 can be reached again, the same command goes on."
        raise InputError(message) from None


def _code(error: Exception) -> str:
    """S3's own word for an error."""
    response: dict[str, dict[str, str]] = getattr(error.__cause__, "response", {})
    return response.get("Error", {}).get("Code", "")


@cache
def _s3() -> Any:
    """The connection of this process."""
    try:
        import s3fs
    except ImportError:
        message = "Files on S3 are read after: pip install 'zipocr[s3]'"
        raise InputError(message) from None
    return s3fs.S3FileSystem()
