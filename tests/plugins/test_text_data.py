"""Texts as data: which files are read, repaired and refused, symbols, the files that are written."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganzoo.api import ArraySource, DataError, Field, as_floats
from ganzoo_text.config import TextConfig, ToyTextConfig
from ganzoo_text.datasets import open_text, open_text_held_out, open_toy, open_toy_held_out, text_field
from ganzoo_text.media import Text
from ganzoo_text.symbols import END, UNKNOWN, indices_of, text_of

LINES = [f"line {at} of the file" for at in range(40)]


def write(path: Path, content: str | bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def texts(source: ArraySource) -> list[str]:
    return [text_of(source.fields[0].facts, row) for row in source.arrays["text"].tolist()]


def opened(path: str, **options: Any) -> ArraySource:
    return open_text(path, TextConfig(**{"held_out": 0.0, **options}))


def rows(source: ArraySource) -> dict[str, tuple[str, str]]:
    return {name: (value, remark) for name, value, remark in source.card}


def test_lines_come_back(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "\n".join(LINES))
    assert sorted(texts(opened(path))) == sorted(LINES)


def test_held_out_texts_are_others(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "\n".join(LINES + LINES[:7]))
    for copies in (False, True):
        config = TextConfig(held_out=0.25, copies=copies)
        training, held_out = open_text(path, config), open_text_held_out(path, config)
        assert held_out is not None
        assert not set(texts(training)) & set(texts(held_out))
        assert set(texts(training)) | set(texts(held_out)) == set(LINES)
        assert len(texts(training)) + len(texts(held_out)) == len(LINES) + 7 * copies
        assert training.fields == held_out.fields
        assert rows(training)["copies"][0] == "7"
    assert open_text_held_out(path, TextConfig(held_out=0.0)) is None


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_marks_of_other_systems(tmp_path: Path, newline: str, mark: bytes) -> None:
    path = write(tmp_path / "a.txt", mark + newline.join(["one", "", "  two\tthree ", "four"]).encode())
    source = opened(path)
    assert texts(source) == ["one", "two three", "four"]
    assert rows(source)["empty"] == ("1", "left out")


def test_control_characters_are_left_out_and_said(tmp_path: Path) -> None:
    source = opened(write(tmp_path / "a.txt", "o\x07ne line of the file\n" + "\n".join(LINES)))
    assert texts(source)[0] == "one line of the file"
    assert source.notes == ("1 control characters were left out",)


def test_letters_with_accents_are_one_symbol(tmp_path: Path) -> None:
    source = opened(write(tmp_path / "a.txt", "cafe\u0301\ncaf\u00e9s\n"))
    assert texts(source) == ["caf\u00e9", "caf\u00e9s"]


def test_other_encodings_are_refused_with_the_option_that_reads_them(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "one\ntwo\ncaf\u00e9\n".encode("latin-1"))
    with pytest.raises(DataError) as error:
        opened(path)
    assert error.value.where.endswith("a.txt, line 3")
    assert "data.encoding=latin-1" in error.value.fix
    assert "caf\u00e9" in texts(opened(path, encoding="latin-1"))
    wide = write(tmp_path / "b.txt", "one\ntwo\n".encode("utf-16"))
    with pytest.raises(DataError) as error:
        opened(wide)
    assert "utf-16" in error.value.fix
    assert texts(opened(wide, encoding="utf-16")) == ["one", "two"]
    with pytest.raises(DataError, match="knows no encoding"):
        opened(wide, encoding="utf-99")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "There is no text"),
        ("\n \n\t\n", "There is no text"),
        ("a single line", "only one text"),
        ("same\nsame\nsame\n", "only one text"),
        (bytes(range(32)) * 40 + b"\nx", "This is no text"),
    ],
)
def test_files_without_texts_are_refused(tmp_path: Path, content: str | bytes, said: str) -> None:
    with pytest.raises(DataError, match=said) as error:
        opened(write(tmp_path / "a.txt", content))
    assert error.value.fix


def test_paths_that_hold_nothing_are_refused(tmp_path: Path) -> None:
    for path, said in (("", "needs a path"), (str(tmp_path / "no"), "does not exist")):
        with pytest.raises(DataError, match=said):
            opened(path)
    write(tmp_path / "folder" / "a.png", b"x")
    with pytest.raises(DataError, match="no text files"):
        opened(str(tmp_path / "folder"))


def test_one_enormous_line_is_cut_into_windows(tmp_path: Path) -> None:
    words = " ".join(f"word{at}" for at in range(20_000))
    path = write(tmp_path / "a.txt", words)
    with pytest.raises(DataError) as error:
        opened(path)
    assert "data.windows=true" in error.value.fix
    found = texts(opened(path, windows=True, copies=True))
    assert "".join(found) == words[: len(words) // 32 * 32]
    by_word = texts(opened(path, windows=True, unit="words", length=5, vocabulary=30_000))
    assert by_word[1] == "word5 word6 word7 word8 word9"


def test_longer_texts_are_cut_and_it_is_said(tmp_path: Path) -> None:
    source = opened(write(tmp_path / "a.txt", "a" * 50 + "\nshort\n" + "b" * 32), length=32)
    assert texts(source) == ["a" * 32, "short", "b" * 32]
    assert rows(source)["length"] == ("32", "33.3% of all texts are longer and were cut")
    assert rows(source)["mean length"] == ("23.0", "from 5 to 32")


def test_a_separator_says_what_ends_a_text(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "one\ntwo\n%\nthree\n%\n")
    assert texts(opened(path, separator="%")) == ["one two", "three"]


def test_a_folder_is_joined_or_has_classes(tmp_path: Path) -> None:
    write(tmp_path / "data" / "b.txt", "two\nthree\n")
    write(tmp_path / "data" / "a", "one\n")
    write(tmp_path / "data" / "c.dat", b"\x00\x01")
    folder = str(tmp_path / "data")
    assert sorted(texts(opened(folder))) == ["one", "three", "two"]
    source = opened(folder, labels=True)
    assert source.fields[1].classes == ("a", "b")
    assert dict(zip(texts(source), source.arrays["label"].tolist(), strict=True)) == {
        "one": 0, "two": 1, "three": 1
    }  # fmt: skip


def test_a_large_vocabulary_is_cut(tmp_path: Path) -> None:
    many = "\n".join(f"w{at} the" for at in range(200_000))
    source = opened(write(tmp_path / "a.txt", many), unit="words", length=4, vocabulary=1_000, windows=True)
    vocabulary = source.fields[0].facts["vocabulary"]
    assert len(vocabulary) == 1_000
    assert vocabulary[:2] == [END, UNKNOWN]
    assert "the" in vocabulary
    assert rows(source)["vocabulary"] == ("1,000", "49.8% of all symbols are unknown")
    assert any("49.8% of all symbols are not among" in note for note in source.notes)


def test_the_most_frequent_symbols_are_kept(tmp_path: Path) -> None:
    source = opened(write(tmp_path / "a.txt", "aaab\naabbcd\nab\n"), vocabulary=4)
    assert source.fields[0].facts["vocabulary"] == [END, UNKNOWN, "a", "b"]
    assert texts(source) == ["aaab", f"aabb{UNKNOWN * 2}", "ab"]
    whole = opened(write(tmp_path / "b.txt", "aaab\naabbcd\nab\n"), vocabulary=5)
    assert whole.fields[0].facts["vocabulary"] == [END, "a", "b", "c", "d"]


def test_words_and_lower_case(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "Don't stop, NOW!\nStop it.\n")
    assert texts(opened(path, unit="words", length=6)) == ["Don't stop , NOW !", "Stop it ."]
    assert texts(opened(path, lower=True)) == ["don't stop, now!", "stop it."]


def test_options_that_make_no_sense_are_refused() -> None:
    for options in ({"length": 1}, {"vocabulary": 10**6}, {"held_out": 1.0}, {"unit": ""}):
        with pytest.raises(ValueError, match="must"):
            TextConfig(**options)


def test_the_toy_data_has_different_sentences_in_both_parts() -> None:
    training, held_out = open_toy(), open_toy_held_out()
    ours, theirs = texts(training), texts(held_out)
    assert (len(set(ours)), len(set(theirs))) == (10_000, 2_500)
    assert not set(ours) & set(theirs)
    assert training.fields == held_out.fields
    assert all(text.endswith(".") and len(text) <= 32 for text in ours)
    assert texts(open_toy("", ToyTextConfig(seed=1))) != ours


# --- a tokenizer file ---------------------------------------------------------------------------


def tokenizer_file(path: Path, *, byte_level: bool) -> str:
    """A tokenizer of the library, trained on the lines."""
    tokenizers = pytest.importorskip("tokenizers")
    if byte_level:
        made = tokenizers.Tokenizer(tokenizers.models.BPE())
        made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = tokenizers.decoders.ByteLevel()
        trainer = tokenizers.trainers.BpeTrainer(vocab_size=320, show_progress=False)
    else:
        made = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token="[UNK]"))  # noqa: S106
        made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
        made.decoder = tokenizers.decoders.WordPiece()
        trainer = tokenizers.trainers.WordPieceTrainer(
            vocab_size=60, special_tokens=["[UNK]"], show_progress=False
        )
    made.train_from_iterator([*LINES, "filing a line"], trainer)
    made.save(str(path))
    return str(path)


@pytest.mark.parametrize("byte_level", [True, False])
def test_a_tokenizer_file_says_what_symbols_are(tmp_path: Path, byte_level: bool) -> None:
    unit = tokenizer_file(tmp_path / "tokenizer.json", byte_level=byte_level)
    source = opened(write(tmp_path / "a.txt", "\n".join(LINES)), unit=unit, length=12)
    assert sorted(texts(source)) == sorted(LINES)
    assert source.fields[0].facts["unit"] == "tokens"
    row = indices_of(source.fields[0], LINES[3])
    assert text_of(source.fields[0].facts, row) == LINES[3]


def test_a_file_that_is_no_tokenizer_and_a_missing_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tokenizers")
    path = write(tmp_path / "a.txt", "\n".join(LINES))
    with pytest.raises(DataError, match="cannot be read"):
        opened(path, unit=path)

    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(DataError) as error:
        opened(path, unit=path)
    assert "pip install tokenizers" in error.value.fix


# --- files --------------------------------------------------------------------------------------

FIELD = text_field(6, [END, "a", "b", "c"], "characters")


def test_text_files_come_back(tmp_path: Path) -> None:
    rows = np.array([[1, 2, 3, 0, 0, 0], [1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0], [2, 0, 0, 0, 0, 0]])
    path, media = tmp_path / "x.txt", Text()
    assert media.write(FIELD, as_floats(FIELD, rows), path) == [path]
    assert path.read_text() == "abc\naaaaaa\n\nb\n"
    assert np.array_equal(media.metric_values(FIELD, media.read(FIELD, path, {})), rows)


def test_a_text_ends_at_its_first_end() -> None:
    assert text_of(FIELD.facts, [1, 0, 2, 3, 0, 0]) == "a"


def test_lines_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    for content, said in (("abca\nabcabca\n", "has 7 characters"), ("xyz\n", "lacks 'x', 'y', 'z'")):
        with pytest.raises(ValueError, match=said):
            Text().read(FIELD, Path(write(tmp_path / "x.txt", content)), {})
    path = Path(write(tmp_path / "x.txt", "ABC\n"))
    assert Text().read(FIELD, path, {"lower": True}).argmax(-1).tolist() == [[1, 2, 3, 0, 0, 0]]


@pytest.mark.parametrize(
    "field",
    [
        Field(name="text", shape=(6, 4), range=(0.0, 1.0)),
        Field(name="text", shape=(6, 3), range=(0.0, 1.0), facts=FIELD.facts),
        Field(name="text", shape=(6, 4), range=(-1.0, 1.0), facts=FIELD.facts),
        Field(name="text", shape=(6, 2), range=(0.0, 1.0), facts={**FIELD.facts, "vocabulary": ["a", END]}),
        Field(name="text", shape=(6, 4), range=(0.0, 1.0), facts={"vocabulary": [END, "a", "b", "c"]}),
    ],
)
def test_fields_that_are_no_text_are_refused(field: Field) -> None:
    with pytest.raises(ValueError, match="text"):
        Text().check(field)


def test_neighbours_are_three_lines_for_each_text() -> None:
    rows = np.array([[1, 0, 0, 0, 0, 0], [2, 0, 0, 0, 0, 0]])
    found = Text().neighbours(FIELD, rows, rows[::-1], rows)
    assert found.data.decode() == (
        "generated a\ntraining  b\nheld out  a\n\ngenerated b\ntraining  a\nheld out  b\n"
    )
