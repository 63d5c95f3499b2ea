"""Options of the data sets, the networks, the loss and the term. Importing this imports no torch or numpy."""

from __future__ import annotations

from dataclasses import dataclass

MOST_SYMBOLS = 50_000


@dataclass(frozen=True, kw_only=True)
class TextConfig:
    """How files become texts of `length` symbols.

    `unit`: what a symbol is: `characters`, `words` (and punctuation marks), or the path of a tokenizer.json
    of the library tokenizers. Each line is a text; with a `separator`, such as the % of fortune files, a text
    is what stands between two lines that equal it. `windows`: all text is one, cut every `length` symbols.
    Otherwise longer texts are cut at their end. A text that occurs several times (when cut) counts once,
    unless `copies` is set. `vocabulary`: at most so many symbols, the most frequent
    ones; the others become one unknown symbol. `lower`: in lower case. `labels`: each file of a folder is a
    class. `encoding`: of the files, a name that Python knows. `held_out`: the share of the different texts
    that is held out, drawn with `seed`.
    """

    unit: str = "characters"
    length: int = 32
    vocabulary: int = 5_000
    lower: bool = False
    separator: str = ""
    windows: bool = False
    copies: bool = False
    labels: bool = False
    encoding: str = "utf-8"
    held_out: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.unit or not 2 <= self.length <= 10_000:
            raise ValueError("unit must not be empty, and length must be between 2 and 10,000")
        if not 3 <= self.vocabulary <= MOST_SYMBOLS:
            raise ValueError(f"vocabulary must be between 3 and {MOST_SYMBOLS:,}")
        if not 0 <= self.held_out <= 0.9 or not 0 <= self.seed < 2**64:
            raise ValueError("held_out must be between 0 and 0.9, and seed in 0..2**64-1")


@dataclass(frozen=True, kw_only=True)
class ToyTextConfig:
    """`count` different sentences of the toy data, with at most `length` characters."""

    count: int = 10_000
    length: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        if not 100 <= self.count <= 10_000 or not 32 <= self.length <= 100:
            raise ValueError("count must be between 100 and 10,000, and length between 32 and 100")
        if not 0 <= self.seed < 2**64:
            raise ValueError("seed must be in 0..2**64-1")


@dataclass(frozen=True, kw_only=True)
class TextConvConfig:
    """Options of `text-conv`: channels and number of residual blocks of both networks; width of a kernel.

    `straight_through`: in training the generator writes its most likely symbols as vectors of 0 and 1, with
    the gradients of the softmax; otherwise it writes the softmax, as published.
    """

    latent: int = 128
    generator_width: int = 512
    discriminator_width: int = 512
    blocks: int = 5
    kernel: int = 5
    straight_through: bool = False

    def __post_init__(self) -> None:
        if min(self.latent, self.generator_width, self.discriminator_width, self.blocks) < 1:
            raise ValueError("latent, generator_width, discriminator_width and blocks must be 1 or more")
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise ValueError("kernel must be odd")


@dataclass(frozen=True, kw_only=True)
class TextLstmConfig:
    """Options of `text-lstm`.

    `inverse_temperature`: beta of the Gumbel softmax; a higher one makes what the discriminator sees more
    like one-hot vectors. The discriminator has `representations` embeddings of one number per symbol, and
    `filters` convolutions of each width in `kernels`.
    """

    embedding: int = 32
    hidden: int = 32
    inverse_temperature: float = 1.0
    representations: int = 64
    filters: int = 300
    kernels: tuple[int, ...] = (2, 3, 4, 5)
    dropout: float = 0.25
    features: int = 100

    def __post_init__(self) -> None:
        sizes = (self.embedding, self.hidden, self.representations, self.filters, self.features)
        if min(sizes) < 1 or not self.kernels or min(self.kernels) < 1:
            raise ValueError("sizes and kernels must be 1 or more, and there must be a kernel")
        if self.inverse_temperature <= 0:
            raise ValueError("inverse_temperature must be more than 0")
        if not 0 <= self.dropout < 1:
            raise ValueError("dropout must be at least 0 and less than 1")


@dataclass(frozen=True, kw_only=True)
class WeightConfig:
    """A weight of 0 or more."""

    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise ValueError("weight must be 0 or more")
