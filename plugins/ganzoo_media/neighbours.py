"""Captions for a grid of samples and their nearest real neighbours, which shows whether a model copies."""

from __future__ import annotations

from PIL import Image, ImageDraw

ROWS = ("sample", "nearest\ntraining image", "nearest\nheld-out image")
HALVES = ("the first samples", "the most suspicious ones: close to a training image")
_LEFT, _TOP = 120, 24  # pixels for captions


def captioned(grid: Image.Image) -> Image.Image:
    """The grid on white, with captions for its rows and its halves."""
    sheet = Image.new("RGB", (_LEFT + grid.width, _TOP + grid.height), "white")
    sheet.paste(grid, (_LEFT, _TOP), grid if grid.mode == "RGBA" else None)
    pen = ImageDraw.Draw(sheet)
    for number, text in enumerate(ROWS):
        pen.text((8, _TOP + (number + 0.5) * grid.height / len(ROWS) - 12), text, fill="black")
    for number, text in enumerate(HALVES):
        pen.text((_LEFT + number * grid.width / len(HALVES) + 4, 6), text, fill="black")
    pen.line([(middle := _LEFT + grid.width // 2, 0), (middle, sheet.height)], fill="black")
    return sheet
