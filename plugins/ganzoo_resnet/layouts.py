"""How three projects name the parts of SNGAN, SAGAN, projection GANs and BigGAN.

The networks are the same; names differ, and a few facts:

* BigGAN-PyTorch (github.com/ajbrock/BigGAN-PyTorch, `BigGAN.py`, `layers.py`): attention is the second module
  of a block; BatchNorm adds 1e-5.
* StudioGAN (github.com/POSTECH-CVLab/PyTorch-StudioGAN, `models/resnet.py`, `models/big_resnet.py`):
  attention is a block of its own; BatchNorm adds 1e-4.
* mimicry (github.com/kwotsin/mimicry, `nets/sngan`, `nets/sagan`, `nets/cgan_pd`): maps are doubled
  bilinearly; gains are those of the norm, not gains minus 1; names do not say where attention stands.

Discriminators are in files of their own. StudioGAN's and mimicry's ReLU works in place, so the shortcut of a
block of D sees activated maps.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    """How a project calls the parts of its networks; `block` has a group with the number of a block.

    `score` and `embed` are parts of discriminators; `score` is a pattern. At `all_halve` pixels the last
    block of D halves, too.
    """

    block: str
    convs: tuple[str, str, str]
    norms: tuple[str, str]
    first: str
    last_norm: str
    last: str
    attention: tuple[str, str, str, str, str]
    score: str
    embed: str
    activated_shortcut: bool = False
    all_halve: int = 0
    stored: str = "running_"
    eps: float = 1e-5
    upsampling: str = "nearest"
    gain_offset: float = 0.0


BIGGAN = Layout(
    block=r"(blocks\.\d+\.\d+)\.conv1\.weight",
    convs=("conv1", "conv2", "conv_sc"),
    norms=("bn1", "bn2"),
    first="linear",
    last_norm="output_layer.0",
    last="output_layer.2",
    attention=("theta", "phi", "g", "o", "gamma"),
    score="linear",
    embed="embed",
    stored="stored_",
)
STUDIO = Layout(
    block=r"(blocks\.\d+\.0)\.conv2d1\.weight",
    convs=("conv2d1", "conv2d2", "conv2d0"),
    norms=("bn1", "bn2"),
    first="linear0",
    last_norm="bn4",
    last="conv2d5",
    attention=("conv1x1_theta", "conv1x1_phi", "conv1x1_g", "conv1x1_attn", "sigma"),
    score="linear1",
    embed="embedding",
    activated_shortcut=True,
    eps=1e-4,
)
MIMICRY = Layout(
    block=r"(block\d+)\.c1\.weight",
    convs=("c1", "c2", "c_sc"),
    norms=("b1", "b2"),
    first="l1",
    last_norm="b{}",
    last="c{}",
    attention=("theta", "phi", "g", "o", "gamma"),
    score=r"l\d+",
    embed="l_y",
    activated_shortcut=True,
    all_halve=64,
    upsampling="bilinear",
    gain_offset=1.0,
)
