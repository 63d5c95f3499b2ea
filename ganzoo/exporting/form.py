"""What the files of an export are like: the choices of a user, with their limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ganzoo.errors import UsageError
from ganzoo.exporting.portable import OPSET, OPSETS

__all__ = ["USUAL", "Form", "Weights"]

Weights = Literal["float32", "float16", "int8"]

_LARGEST_BATCH = 4096
_SHORTEST_KEY = 8
_STRONGEST = 16  # 24 dB: seen by everyone


@dataclass(frozen=True, kw_only=True)
class Form:
    """The form of the .onnx files; UsageError for values out of bounds.

    With `uint8`, image outputs are uint8 NHWC. `opset` is the set of operators. `batch` is the only batch
    size of the graph; None lets it take any. `weights` says how large weights are stored; they compute in
    float32. `watermark` is the key of the pattern in pictures; None leaves them as they are.
    `watermark_strength` is in levels of 255; None lets the export choose.
    """

    uint8: bool = False
    opset: int = OPSET
    batch: int | None = None
    weights: Weights = "float32"
    watermark: str | None = None
    watermark_strength: float | None = None

    def __post_init__(self) -> None:
        if self.opset not in OPSETS:
            raise UsageError(
                f"Graphs cannot be written with the operator set {self.opset}.",
                fix=f"--opset {OPSETS.start} to {OPSETS.stop - 1}",
            )
        if self.batch is not None and not 1 <= self.batch <= _LARGEST_BATCH:
            raise UsageError(
                f"A graph cannot have the batch size {self.batch}.", fix=f"--batch 1 to {_LARGEST_BATCH}"
            )
        if self.weights not in get_args(Weights):
            raise UsageError(
                f"Weights cannot be stored as '{self.weights}'.", fix=" or ".join(get_args(Weights))
            )
        if self.watermark is not None and len(self.watermark) < _SHORTEST_KEY:
            raise UsageError(
                f"A key of less than {_SHORTEST_KEY} characters is too short: others could guess it.",
                fix="--watermark with a text that only you know",
            )
        if self.watermark_strength is not None:
            if self.watermark is None:
                raise UsageError("--watermark-strength is for a watermark.", fix="add --watermark KEY")
            if not 0.5 <= self.watermark_strength <= _STRONGEST:
                raise UsageError(
                    f"A watermark cannot have the strength {self.watermark_strength:g}.",
                    fix=f"--watermark-strength 0.5 to {_STRONGEST} (levels of 255)",
                )


USUAL = Form()
