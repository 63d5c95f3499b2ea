"""Text files as texts: decoded, without control characters, with single spaces."""

from __future__ import annotations

import re
import shlex
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from ganzoo.api import DataError, report_progress
from ganzoo_datasets.folder_files import Files, files_with, no_files
from ganzoo_datasets.paths import given_path
from ganzoo_datasets.picture_folders import has_parts
from ganzoo_text.config import TextConfig

ENDINGS = ("", ".txt")
MOST_BYTES = 1 << 30
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u200b\ufeff]")
MOST_CONTROL = 0.05  # a share of control characters that no text has
UTF_16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, kw_only=True)
class Texts:
    """The texts of each file, by its name without the ending, and what was left out."""

    files: dict[str, list[str]]
    empty: int
    control: int
    notes: tuple[str, ...] = ()


def read_texts(argument: str, config: TextConfig) -> Texts:
    """The texts of a file, or of the files of a folder; DataError where there are none."""
    found: dict[str, list[str]] = {}
    empty = control = 0
    root, listed = _listed(argument)
    paths = [root / name if name else root for name in listed.names]
    for number, path in enumerate(paths):
        report_progress("files read", number, len(paths))
        content, count = _content(path, config)
        control += count
        blocks = _blocks(content, config.separator)
        texts = [text for text in (" ".join(block.split()) for block in blocks) if text]
        empty += len(blocks) - len(texts)
        found.setdefault(path.stem, []).extend(texts)
    if not any(found.values()):
        raise DataError("There is no text.", where=argument, fix="--data text:PATH with lines of text")
    notes = listed.notes("texts")
    if has_parts(listed.names, files=True):
        notes.append(
            "files of train and of other parts are used together, and some texts of all are held out; "
            f"for one of them use --data text:{argument}/PART"
        )
    return Texts(files=found, empty=empty, control=control, notes=tuple(notes))


def _listed(argument: str) -> tuple[Path, Files]:
    path = given_path("text", argument, "a text file or a folder of text files")
    files = files_with(path, ENDINGS)
    if not files.names:
        raise no_files(path, "text files", files.others, files.links, "name them .txt, or give one file")
    if (size := sum((path / name).stat().st_size for name in files.names)) > MOST_BYTES:
        raise DataError(
            f"The files have {size / 2**30:.1f} GiB, the limit is 1 GiB.",
            where=argument,
            fix="use a part of the lines: head -n 1000000 FILE > part.txt",
        )
    return path, files


def _content(path: Path, config: TextConfig) -> tuple[str, int]:
    """The file in Unicode's form C without control characters, and how many it had."""
    raw = path.read_bytes()
    encoding = "utf-8-sig" if config.encoding.lower() in ("utf-8", "utf8") else config.encoding
    try:
        text = raw.decode(encoding)
    except LookupError as error:
        raise DataError(
            f"Python knows no encoding '{config.encoding}'.", where="data.encoding", fix="utf-8 or latin-1"
        ) from error
    except UnicodeError as error:
        line = raw.count(b"\n", 0, getattr(error, "start", 0)) + 1
        other = "utf-16" if raw.startswith(UTF_16) else "latin-1"
        raise DataError(
            f"The file is not {config.encoding}: {getattr(error, 'reason', error)}.",
            where=f"{path}, line {line}",
            fix=f"if it is {other}: --set {shlex.quote(f'data.encoding={other}')}",
        ) from error
    text, control = CONTROL.subn("", text)
    if control > MOST_CONTROL * (len(text) + control):
        raise DataError(
            f"This is no text: {control:,} of {len(text) + control:,} characters are control characters.",
            where=str(path),
            fix="use a text file; or if it is utf-16: --set data.encoding=utf-16",
        )
    text = unicodedata.normalize("NFC", text)
    return (text.lower() if config.lower else text), control


def _blocks(content: str, separator: str) -> list[str]:
    """Lines, or what stands between two lines that equal the separator."""
    lines = content.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")
    if not separator:
        return lines
    blocks: list[list[str]] = [[]]
    for line in lines:
        if line.strip() == separator:
            blocks.append([])
        else:
            blocks[-1].append(line)
    return ["\n".join(block) for block in blocks]
