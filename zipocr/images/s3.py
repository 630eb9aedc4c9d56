"""Remote files: objects on S3 and compatible services.

Needs the extra ``s3``.

Errors of one object and of the service are distinguished: an object that is missing, forbidden or
archived costs one row; a service that does not answer or refuses the key ends the run, which can be
resumed.
"""

import asyncio
import errno
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, TypeVar

from zipocr.errors import InputError, printable

PATIENCE = 30.0
"""Seconds to wait for a file, including all retries."""
# A silently lost connection must time out while there is time for a retry.
ATTEMPTS = 3
FIRST_PAUSE, MAX_PAUSE = 0.1, 3.0

T = TypeVar("T")
Ask = Callable[[Any, str, str], Awaitable[T]]
"""A request to a client about an object, given its bucket and key."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_SCHEME = "s3://"
_CHUNK = 1 << 20
_MAX_WORDS = 300
# Errors with status 403 that concern one object; all others concern the key.
_DENIED = frozenset({"AccessDenied", "Forbidden", "403"})
_ARCHIVED = "InvalidObjectState"
# Errors with another status from 400 to 499 that do not concern the object.
_OF_THE_KEY = frozenset(
    {
        "AuthorizationHeaderMalformed",
        "AuthorizationQueryParametersError",
        "ExpiredToken",
        "InvalidToken",
        "MissingSecurityHeader",
        "TokenRefreshRequired",
    }
)
_BUSY = frozenset({"RequestLimitExceeded", "RequestTimeout", "SlowDown", "Throttling", "429"})


@dataclass(frozen=True, slots=True)
class Url:
    """The URL of a remote file, and how many seconds to wait for it."""

    text: str
    patience: float = PATIENCE

    def __str__(self) -> str:
        """Return the URL as given."""
        return self.text


class _UnansweredError(Exception):
    """Raised when patience runs out; the message describes the last attempt."""


def is_url(text: str) -> bool:
    """Return whether a text is a URL and not a path.

    Examples
    --------
    >>> is_url("s3://mail/1.png"), is_url("mail/1.png"), is_url("C:/1.png")
    (True, False, False)
    """
    return _URL.match(text) is not None


def fetch(url: Url, *, most: int) -> bytes:
    """Fetch the contents of a file in one request.

    Parameters
    ----------
    url : Url
        Of the form ``s3://bucket/key``.
    most : int
        A larger file is cut to one byte more than this.

    Returns
    -------
    bytes
        The contents.

    Raises
    ------
    OSError
        If there is no such file, or it cannot be read; ``strerror`` says why.
    InputError
        If S3 cannot be reached or does not answer in time, or the extra is not installed.
    """
    return _answer(url, partial(_contents, most=most))


def etag(url: Url) -> str:
    """Return the ETag of a file; empty if there is no such file.

    Raises
    ------
    InputError
        As `fetch`.
    """
    with suppress(OSError):
        return _answer(url, _etag)
    return ""


async def _etag(client: Any, bucket: str, key: str) -> str:
    response = await client.head_object(Bucket=bucket, Key=key)
    return str(response.get("ETag", ""))


async def _contents(client: Any, bucket: str, key: str, *, most: int) -> bytes:
    """Read an object up to one byte more than wanted, however much the service would send."""
    from botocore.exceptions import ClientError

    try:
        response = await client.get_object(Bucket=bucket, Key=key, Range=f"bytes=0-{most}")
    except ClientError as error:
        # An empty file has no first byte to ask for.
        if _code(error) == "InvalidRange":
            return b""
        raise
    data, body = bytearray(), response["Body"]
    async with body:  # older clients enter another object here
        async for chunk in body.iter_chunks(_CHUNK):
            data += chunk
            if len(data) > most:
                break
    return bytes(data[: most + 1])


def _answer(url: Url, ask: Ask[T]) -> T:
    """Send a request about an object with retries; tell its errors from those of the service."""
    if not url.text.startswith(_SCHEME):
        raise OSError(
            errno.EPROTONOSUPPORT, f"of URLs only those that begin with {_SCHEME} are read"
        )
    service = _s3(url.patience)
    from fsspec.asyn import sync

    bucket, key, _ = service.split_path(url.text)
    if not bucket or not key:
        raise _no_address()
    try:
        answer: T = sync(service.loop, _asked, service, bucket, key, ask, url.patience)
    except Exception as error:  # noqa: BLE001 - the libraries raise undocumented errors
        raise _trouble(url, error) from None
    return answer


async def _asked(service: Any, bucket: str, key: str, ask: Ask[T], patience: float) -> T:
    """Retry until there is an answer or patience runs out."""
    latest, pause = "no answer", FIRST_PAUSE
    try:
        async with asyncio.timeout(patience):
            while True:
                try:
                    await service.set_session()
                    return await ask(await service.get_s3(bucket), bucket, key)
                except Exception as error:
                    if not _may_pass(error):
                        raise
                    latest = _words(error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, MAX_PAUSE)
    except TimeoutError:
        message = f"{latest}; given up after {patience:g} s, see --patience"
        raise _UnansweredError(message) from None


def _may_pass(error: Exception) -> bool:
    """Return whether a retry of the same request may succeed."""
    from botocore import exceptions as boto

    if isinstance(error, boto.ClientError):
        return _status(error) >= 500 or _code(error) in _BUSY
    of_the_line = (boto.HTTPClientError, boto.ConnectionError, boto.IncompleteReadError)
    return isinstance(error, of_the_line) or not isinstance(error, boto.BotoCoreError)


def _trouble(url: Url, error: Exception) -> OSError | InputError:
    """Translate an error: to an `OSError` if it concerns one object."""
    from botocore import exceptions as boto

    if isinstance(error, boto.ParamValidationError):
        return _no_address()
    if isinstance(error, boto.ClientError) and _is_of_the_object(error):
        return _refusal(error)
    cure = "When S3 can be reached again, the same command continues."
    return InputError(f"{url.text} could not be fetched ({_words(error)}). {cure}")


def _no_address() -> OSError:
    return OSError(errno.EINVAL, "no address of an object, which looks like s3://bucket/key")


def _is_of_the_object(error: Any) -> bool:
    status, code = _status(error), _code(error)
    if status == 403:
        return code in _DENIED or code == _ARCHIVED
    return 400 <= status < 500 and status != 401 and code not in _OF_THE_KEY | _BUSY


def _refusal(error: Any) -> OSError:
    """Describe why an object cannot be read, in the words for local files if possible."""
    code = _code(error)
    if _status(error) == 404:
        return FileNotFoundError(errno.ENOENT, "No such file or directory")
    if code in _DENIED:
        return PermissionError(errno.EACCES, "Permission denied")
    if code == _ARCHIVED:
        return OSError(errno.EIO, "archived; it must be restored before it can be read")
    return OSError(errno.EIO, _words(error))


def _status(error: Any) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _code(error: Any) -> str:
    """Return S3's code of an error."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _words(error: Exception) -> str:
    """Return an error's message as one printable line."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return printable(" ".join((said or type(error).__name__).split()))[:_MAX_WORDS]


@cache
def _s3(patience: float) -> Any:
    """Return the connection of this process."""
    try:
        import s3fs
    except ImportError:
        message = "Reading from S3 needs an extra: pip install 'zipocr[s3]'"
        raise InputError(message) from None
    seconds = patience / ATTEMPTS
    # Retries are done here, where their total time is bounded.
    limits = {"connect_timeout": seconds, "read_timeout": seconds}
    return s3fs.S3FileSystem(config_kwargs={**limits, "retries": {"total_max_attempts": 1}})
