"""The networks that an architecture returns: modules, the fields that they read and write, and games.

Part of `ganzoo.api`. Importing this imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ganzoo.fields import Field

if TYPE_CHECKING:
    from torch import Tensor, nn

    Calibrate = Callable[[Iterable[Mapping[str, Tensor]]], Mapping[str, Mapping[str, Any]]]


@dataclass(frozen=True, kw_only=True)
class Net:
    """A module with the fields that it reads and writes.

    `module.forward` is called with the fields of `reads`, in that order, as plain tensors by position.
    It has no other parameters. Two or more parameters must have the names of the fields, so that none is
    confused with another. A single one may have any name: its field's name may be known only from the data.
    It returns one tensor (or a tuple of tensors, in the order of `writes`). Discriminators of a game write
    `score`, of any shape. A generator writes no field that it reads; it may write a noise field, as an
    encoder to latents does. No two networks may share parameters.

    A discriminator may score `pack` samples together. It then writes N / pack scores: the core calls it
    with (N / pack, pack * C, ...) in place of (N, C, ...), and with labels (N / pack, pack). With
    `train.pack` the core sets `pack` itself.

    `rates` gives parts of the module learning rates of their own: a factor for each prefix of parameter
    names (`{"mapping": 0.01}`, StyleGAN2). Users can set others with `generator.rates`.

    `directions`, of a generator: for a field that it reads, globs of the names of the layers whose `weight`
    (outputs, inputs) multiplies that vector, or what the vector is added to, such as StyleGAN2's modulation.
    `ganzoo directions` factorises them. Without it, the first layer that reads a noise vector is taken.

    `finest_first` names lists of layers (`nn.Sequential`, `nn.ModuleList`) whose first member works on the
    largest maps, and of which larger data has more: `("blocks",)` for a discriminator that halves images.
    Warm starts from data of another size then begin the last members with the last ones there.
    """

    module: nn.Module
    reads: tuple[str, ...]
    writes: tuple[str, ...] = ("score",)
    pack: int = 1
    rates: Mapping[str, float] = field(default_factory=dict)
    directions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    finest_first: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Game:
    """Which generator plays against which discriminator, by their names in `Networks`.

    The discriminator compares two sides. Generated: `real | generator(real + noise)`; real: the real batch
    and what `encoder`, another generator, writes for it. Noise that the discriminator reads is on both sides,
    where no network writes it. So an adversarial autoencoder (Makhzani et al. 2016, arXiv:1511.05644) is a
    generator that reads an image and writes the noise field `z`, and a discriminator that reads `z`. BiGAN
    (Donahue et al. 2017, arXiv:1605.09782) compares (x, E(x)) with (G(z), z).

    With an encoder, both sides depend on networks that learn. These minimise the loss's formula of the
    discriminator with the two sides exchanged, as in the papers: for V = E_x log D(x, E(x)) +
    E_z log(1 - D(G(z), z)) they maximise E_z log D(G(z), z) + E_x log(1 - D(x, E(x))) (Donahue et al. 2017,
    section 3; Dumoulin et al. 2017, arXiv:1606.00704, section 2).
    """

    generator: str = "generator"
    discriminator: str = "discriminator"
    encoder: str = ""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One network of an export, by its name in `Networks`.

    `reads` and `writes` rename fields: from the network's own name to the name in the graph.
    """

    net: str
    reads: Mapping[str, str] = field(default_factory=dict)
    writes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Export:
    """Networks one after the other, exported as one graph of that name.

    Fields flow from step to step. The graph's inputs are the fields that a step reads and no earlier one
    writes; its outputs are `outputs`, by default all fields that the last step writes.
    """

    name: str
    steps: tuple[Step, ...]
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Networks:
    """The networks of an architecture.

    A network that is part of no game (a decoder, a projection head) learns from terms only, with the
    optimiser of its mapping. `exports` are the graphs to export, by default each generator.
    `fields` declares the fields that the data does not have: the noise that generators read, and
    other fields that they write. `tags` name properties that a loss or term may reject; the core
    itself detects `batch-norm-in-discriminator`.

    `free` makes axes of fields free: for a field name the axes with their multiples (see `Field.free`), such
    as `{"high": {"height": 4, "width": 4}}`. The architecture says so, because it knows that its generators
    accept other sizes; the field must name its axes. Generators are tried at three sizes when they are built.

    `calibrate` is called before an export with batches of held-out samples, tensors by field name in the
    fields' ranges, on the CPU. The networks have their trained weights by then, in eval mode. It may set
    buffers of the networks, such as a threshold, and returns facts to add to declared fields, by field name.
    Every second held-out sample is used, so that the others can measure what it did; training samples where
    none are held out.
    """

    generators: Mapping[str, Net]
    discriminators: Mapping[str, Net]
    games: tuple[Game, ...] = (Game(),)
    fields: tuple[Field, ...] = ()
    tags: tuple[str, ...] = ()
    free: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    exports: tuple[Export, ...] = ()
    calibrate: Calibrate | None = None

    @classmethod
    def pair(
        cls,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        latent: Field,
        writes: str,
        conditions: tuple[str, ...] = (),
        finest_first: tuple[str, ...] = (),
    ) -> Networks:
        """The common case: one generator that `writes` one field, and one discriminator of that field.

        The generator reads `latent` and then the fields of `conditions`. The discriminator reads the
        written field and then the same conditions. `finest_first` is the discriminator's.
        """
        return cls(
            generators={
                "generator": Net(module=generator, reads=(latent.name, *conditions), writes=(writes,))
            },
            discriminators={
                "discriminator": Net(
                    module=discriminator, reads=(writes, *conditions), finest_first=finest_first
                )
            },
            fields=(latent,),
        )
