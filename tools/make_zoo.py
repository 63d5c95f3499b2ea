"""Make docs/zoo.png from the reference bundles: `python tools/make_zoo.py`.

Each panel shows the first samples of seed 0, unpicked; the conditional one has a column a class.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw

import ganzoo
from ganzoo import images

ROOT = Path(__file__).parent.parent
FAMILIES = ("vanilla", "dcgan", "wgan-gp", "cgan")
CAPTION = 22


def panel(name: str) -> Image.Image:
    """Five rows of a family's samples under its name."""
    generator = ganzoo.load(ROOT / "exported" / name, provider="cpu")
    classes = len(generator.classes)
    columns = classes or 8
    count = 5 * columns
    label = [i % classes for i in range(count)] if classes else None
    samples = images.grid(generator.images(count, seed=0, label=label), columns=columns)
    samples = samples.resize((samples.width * 2 // 3, samples.height * 2 // 3), Image.Resampling.LANCZOS)
    result = Image.new("L", (samples.width, samples.height + CAPTION), 255)
    ImageDraw.Draw(result).text((2, 4), name, fill=0, font_size=14)
    result.paste(samples.convert("L"), (0, CAPTION))
    return result


def main() -> None:
    """Two panels in each of two rows."""
    panels = [panel(name) for name in FAMILIES]
    width = max(panels[0].width + panels[1].width, panels[2].width + panels[3].width) + 12
    height = max(p.height for p in panels[:2]) + max(p.height for p in panels[2:]) + 8
    zoo = Image.new("L", (width, height), 255)
    below = max(p.height for p in panels[:2]) + 8
    zoo.paste(panels[0], (0, 0))
    zoo.paste(panels[1], (panels[0].width + 12, 0))
    zoo.paste(panels[2], (0, below))
    zoo.paste(panels[3], (panels[2].width + 12, below))
    images.save(zoo, ROOT / "docs" / "zoo.png")


if __name__ == "__main__":
    main()
