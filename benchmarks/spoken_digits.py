"""Ten spoken digits in many voices of espeak-ng: labelled sounds to try sound recipes on.

    python benchmarks/spoken_digits.py digits
    ganzoo train wavegan --data wav:digits

Needs the program espeak-ng (Debian: apt-get install espeak-ng). Writes a folder for each word, with 180
files of 22,050 Hz in each: six accents, ten voices, three pitches. Silence at both ends is cut away.
"""

from __future__ import annotations

import argparse
import io
import itertools
import subprocess
import wave
from pathlib import Path

import numpy as np

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ACCENTS = ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-029")
VOICES = ("m1", "m2", "m3", "m4", "m5", "m7", "f1", "f2", "f3", "f4")
PITCHES = (35, 50, 65)
SPEED = 210  # words a minute: a word takes 0.3 to 0.5 s
QUIET = 300  # levels of 16 bits: what is below at the ends is cut away


def spoken(word: str, voice: str, pitch: int) -> tuple[int, np.ndarray]:
    """The rate, and a word as 16-bit samples."""
    command = ["espeak-ng", "-v", voice, "-p", f"{pitch}", "-s", f"{SPEED}", "--stdout", word]
    content = subprocess.run(command, check=True, capture_output=True).stdout
    with wave.open(io.BytesIO(content)) as file:
        rate = file.getframerate()
        values = np.frombuffer(file.readframes(2**24), "<i2")
    loud = np.flatnonzero(np.abs(values.astype(np.int32)) > QUIET)
    return rate, values[loud[0] : loud[-1] + 1]


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    for word in WORDS:
        (folder / word).mkdir(parents=True, exist_ok=True)
        for accent, voice, pitch in itertools.product(ACCENTS, VOICES, PITCHES):
            rate, values = spoken(word, f"{accent}+{voice}", pitch)
            with wave.open(str(folder / word / f"{accent}-{voice}-{pitch}.wav"), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(rate)
                file.writeframes(values.astype("<i2").tobytes())


if __name__ == "__main__":
    main()
