"""Which data suits the recipes. Importing this must not import torch."""

from __future__ import annotations

from ganzoo.api import DataInfo


def _kinds(data: DataInfo) -> set[str]:
    return {field.kind for field in data.fields}


def suits_wavegan(data: DataInfo) -> float:
    """Sounds alone: 1."""
    return 1.0 if "sound" in _kinds(data) and "mel" not in _kinds(data) else 0.0


def suits_specgan(data: DataInfo) -> float:
    """Spectrograms that can be heard: 1, more than recipes of images."""
    return 1.0 if "spectrogram" in _kinds(data) else 0.0


def suits_vocoder(data: DataInfo) -> float:
    """Pairs of a mel spectrogram and its sound: 1."""
    return 1.0 if {"mel", "sound"} <= _kinds(data) else 0.0
