"""The client of the Hugging Face Hub, and its errors as ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ganzoo._version import __version__
from ganzoo.errors import FailedError, GanzooError, UsageError
from ganzoo.util.packages import optional_package
from ganzoo.util.progress import report_progress

TIMEOUT = 30
"""Seconds without a byte."""

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")

_ANSWERS = {
    429: "The Hub has had too many requests from you: wait some minutes.",
    500: "The Hub has a fault (error 500).",
    502: "The Hub is down (error 502).",
    503: "The Hub is down or overloaded (error 503).",
    504: "The Hub is down or overloaded (error 504).",
}
_WAYS = {
    "TimeoutException": "The Hub did not answer in time.",
    "ConnectError": "The Hub cannot be reached: no connection, or a wrong address in HF_ENDPOINT.",
    "TransportError": "The connection to the Hub broke off.",
}
"""By the name of a class of httpx (or httpx2), the most exact first."""


def client() -> Any:
    """The module huggingface_hub; UsageError if it is not installed."""
    return optional_package("huggingface_hub", "hub", "The Hugging Face Hub", raises=UsageError)


def check_repository(name: str) -> None:
    """UsageError unless the name is `user/name`."""
    if not _REPOSITORY.fullmatch(name) or ".." in name or "--" in name:
        raise UsageError(
            f"'{name}' is not the name of a repository.", fix="write user/name, as in someone/faces"
        )


def fetched(repository: str, commit: str, name: str, size: int) -> bytes:
    """A file of a repository; UsageError as soon as it has more bytes than the Hub lists."""
    hub = client()
    headers = hub.utils.build_hf_headers(library_name="ganzoo", library_version=__version__)
    address = hub.hf_hub_url(repository, name, revision=commit)
    parts, count = [], 0
    request = hub.get_session().stream(
        "GET", address, headers=headers, timeout=TIMEOUT, follow_redirects=True
    )
    with request as response:
        hub.utils.hf_raise_for_status(response)
        for part in response.iter_bytes():
            count += len(part)
            if count > size:
                raise UsageError(
                    f"The Hub sends more than the {size:,} bytes that it lists for {name}.", where=repository
                )
            parts.append(part)
            report_progress("bytes downloaded", count, size)
    return b"".join(parts)


@contextmanager
def hub_errors(repository: str, fix: str) -> Iterator[None]:
    """Turn errors of the Hub or the way to it into ours. `fix` is for those that another try may cure."""
    errors = client().errors
    try:
        yield
    except GanzooError:
        raise
    except errors.GatedRepoError as error:
        raise UsageError(
            "The owner must let you read the repository first.",
            where=repository,
            fix="ask on its page, then set HF_TOKEN",
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise UsageError(
            "The Hub has no such repository, or it is private and your token may not read it.",
            where=repository,
            fix="check the name; for a private one set HF_TOKEN or run `hf auth login`",
        ) from error
    except errors.RevisionNotFoundError as error:
        raise UsageError(
            "The repository has no such revision.", where=repository, fix="name a branch, a tag or a commit"
        ) from error
    except errors.HFValidationError as error:
        raise UsageError(f"The Hub does not allow this name: {error}", where=repository) from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403):
            raise UsageError(
                "The Hub refuses the token: it is wrong, has expired, or may not do this.",
                where=repository,
                fix="make one that may write to the repository, then set HF_TOKEN or run `hf auth login`",
            ) from error
        said = _ANSWERS.get(status, f"The Hub answered with error {status}.")
        raise FailedError(said, where=repository, fix=fix) from error
    except (errors.HTTPError, OSError, RuntimeError) as error:  # RuntimeError: a file failed to upload
        raise _lost(error, repository, fix) from error


def _lost(error: BaseException, repository: str, fix: str) -> GanzooError:
    """What happened on the way to the Hub, by the classes of the error and its causes.

    By name, because the classes are those of httpx or of httpx2, depending on the version of huggingface_hub.
    """
    names: set[str] = set()
    cause: BaseException | None = error
    while cause is not None:
        names |= {kind.__name__ for kind in type(cause).__mro__}
        cause = cause.__cause__ or cause.__context__
    if "OfflineModeIsEnabled" in names:
        return UsageError("HF_HUB_OFFLINE is set: nothing is asked of the Hub.", fix="unset HF_HUB_OFFLINE")
    found = next((text for name, text in _WAYS.items() if name in names), f"The Hub cannot be used: {error}")
    return FailedError(found, where=repository, fix=fix)
