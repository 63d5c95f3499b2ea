"""The client of the Hugging Face Hub, and its errors as ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ganzoo.errors import FailedError, GanzooError, UsageError
from ganzoo.util.packages import optional_package

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")


def client() -> Any:
    """The module huggingface_hub; UsageError if it is not installed."""
    return optional_package("huggingface_hub", "hub", "The Hugging Face Hub", raises=UsageError)


def check_repository(name: str) -> None:
    """UsageError unless the name is `user/name`."""
    if not _REPOSITORY.fullmatch(name) or ".." in name or "--" in name:
        raise UsageError(
            f"'{name}' is not the name of a repository.", fix="write user/name, as in someone/faces"
        )


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
                "The Hub does not accept the token for this.",
                where=repository,
                fix="use a token that may write to the repository: HF_TOKEN, or `hf auth login`",
            ) from error
        raise FailedError(f"The Hub answered with error {status}.", where=repository, fix=fix) from error
    except (errors.HTTPError, OSError, RuntimeError) as error:  # RuntimeError: a file failed to upload
        raise FailedError(
            f"The connection to the Hub failed: {type(error).__name__}.", where=repository, fix=fix
        ) from error
