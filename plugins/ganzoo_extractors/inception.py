"""The Inception network of FID, from NVIDIA's TorchScript file, which the user provides."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ganzoo.api import Extractor, SettingsError
from ganzoo_extractors.config import InceptionConfig
from ganzoo_extractors.resize import opaque

# The file name under which Karras et al. publish it.
NAME = "inception-2015-12-05.pt"
FEATURES = 2048
BATCH = 50


class Inception:
    """2048 features of images, which the network resizes to 299x299, and its class probabilities."""

    def __init__(self, path: Path) -> None:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise SettingsError(
                "The Inception network cannot be read.",
                where=f"{path}: {error.strerror}",
                fix=f"the path of {NAME}",
            ) from error
        try:
            self._net: Any = _loaded(path)
            shape = self._run(np.zeros((1, 32, 32, 1), np.uint8), return_features=True).shape
        except (RuntimeError, TypeError, ValueError) as error:
            raise SettingsError(
                "This file is not the Inception network of FID.",
                where=f"{path}: {str(error).strip().splitlines()[0]}",
                fix=f"the path of {NAME}",
            ) from error
        if shape != (1, FEATURES):
            raise SettingsError(
                f"This network gives features of shape {shape[1:]}, Inception {FEATURES}.", where=str(path)
            )
        self.identity = f"Inception 2015-12-05 (TorchScript), sha256:{hashlib.sha256(content).hexdigest()}"
        self.protocol = "8-bit images, resized to 299x299 by the network, gray as RGB"

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Images (n, height, width, channels) -> features (n, 2048)."""
        return self._all(pixels, return_features=True)

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Images (n, height, width, channels) -> class probabilities (n, 1, 1008) for the Inception Score."""
        return self._all(pixels, no_output_bias=True)[:, None]

    def _all(self, pixels: NDArray[np.uint8], **options: bool) -> NDArray[np.float32]:
        starts = range(0, len(pixels), BATCH)
        return np.concatenate([self._run(pixels[start : start + BATCH], **options) for start in starts])

    @torch.no_grad()
    def _run(self, pixels: NDArray[np.uint8], **options: bool) -> NDArray[np.float32]:
        maps = torch.from_numpy(np.array(opaque(pixels).transpose(0, 3, 1, 2), order="C"))
        result: NDArray[np.float32] = self._net(maps.expand(-1, 3, -1, -1), **options).float().numpy()
        return result


def _loaded(path: Path) -> Any:
    with warnings.catch_warnings():
        # Torch deprecates TorchScript, but all published figures use this file.
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.load(str(path), map_location="cpu").eval()  # type: ignore[no-untyped-call]


def build(config: InceptionConfig) -> Extractor:
    """Factory of `inception`. SettingsError without its file, or with another one."""
    if not config.weights:
        raise SettingsError(
            "The extractor 'inception' needs its network, which is not part of ganzoo.",
            where="NVIDIA publishes it with StyleGAN",
            fix=f"--fid-weights {NAME}",
        )
    return Inception(Path(config.weights))
