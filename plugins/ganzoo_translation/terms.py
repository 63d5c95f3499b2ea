"""Terms of G for image-to-image translation: distance to the target, cycles, identity, contrast of places."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from ganzoo.api import Batch, SettingsError, View
from ganzoo_translation.config import CycleConfig, IdentityConfig, L1Config, PatchNceConfig

Penalty = Callable[[View], Tensor]

OTHER = {"a": "b", "b": "a"}


def l1(config: L1Config) -> Penalty:
    """Factory of `l1`: weight * E |b - G(a)|_1, the mean over all values of the output of G.

    Isola et al. 2017, equation 3; a mean as in the authors' code. Several fields are summed. SettingsError
    for a generator that writes no float field of the data.
    """

    def penalty(view: View) -> Tensor:
        names = [name for name in view.written if name in view.real and view.real[name].is_floating_point()]
        if not names:
            raise SettingsError(
                "'l1' needs a generator that writes a float field of the data.",
                where=f"this generator writes: {', '.join(view.written)}",
                fix="terms.l1=false",
            )
        distances = [(view.real[name] - view.fake[name]).abs().mean() for name in names]
        return config.weight * torch.stack(distances).sum()

    return penalty


def _sides(view: View, term: str) -> tuple[str, str]:
    """The field that this game's generator reads, and the one that it writes: `a` and `b`, or `b` and `a`."""
    if len(view.written) != 1 or view.written[0] not in OTHER:
        raise SettingsError(
            f"'{term}' needs generators from the field a to the field b, or from b to a.",
            where=f"this generator writes: {', '.join(view.written)}",
            fix=f"choose the architecture 'resnet-cycle', or terms.{term}=false",
        )
    return OTHER[view.written[0]], view.written[0]


def cycle(config: CycleConfig) -> Penalty:
    """Factory of `cycle`: weight * E |F(G(a)) - a|_1 in the game of G, and for b in the game of F.

    Zhu et al. 2017, equation 2, as a mean over all values. F is the generator `to_a`, G is `to_b`.
    SettingsError without the way back.
    """

    def penalty(view: View) -> Tensor:
        source, _ = _sides(view, "cycle")
        try:
            back = view.generate(view.fake, f"to_{source}")[source]
        except KeyError as error:
            raise SettingsError(
                f"'cycle' needs a generator 'to_{source}' for the way back to '{source}'.",
                fix="choose the architecture 'resnet-cycle', or terms.cycle=false",
            ) from error
        return config.weight * (view.real[source] - back).abs().mean()

    return penalty


def identity(config: IdentityConfig) -> Penalty:
    """Factory of `identity`: weight * E |G(b) - b|_1. G should not change an image of its target side.

    Zhu et al. 2017, section 5.2 (loss "identity mapping"), as a mean over all values. SettingsError unless a
    and b have one shape.
    """

    def penalty(view: View) -> Tensor:
        source, target = _sides(view, "identity")
        real = view.real[target]
        if real.shape != view.real[source].shape:
            raise SettingsError(
                "'identity' needs images a and b of the same shape.",
                where=f"a {tuple(view.real['a'].shape[1:])}, b {tuple(view.real['b'].shape[1:])}",
                fix="terms.identity=false",
            )
        output = view.generate({**view.real, source: real})[target]
        return config.weight * (output - real).abs().mean()

    return penalty


def info_nce(queries: Tensor, keys: Tensor, temperature: float) -> Tensor:
    """The cross entropy of finding, for each query, its own key among those of its image.

    Queries and keys (N, places, d) have length 1. Park et al. 2020, equation 3, a mean over all places.
    """
    logits = queries @ keys.transpose(1, 2) / temperature
    own = torch.arange(keys.shape[1], device=keys.device).expand(len(keys), -1)
    return cross_entropy(logits.flatten(0, 1), own.flatten())


def patch_nce(config: PatchNceConfig) -> Penalty:
    """Factory of `patch-nce`: weight * the mean over layers of `info_nce` at random places.

    Park et al. 2020, equations 4 and 5. Queries come from the translated image, keys, without gradient, from
    the image itself; both pass G's encoder and the projections. The same places serve the whole batch.
    SettingsError for a generator that does not write b and maps of its layers.
    """

    def described(view: View, batch: Batch) -> list[Tensor]:
        """The image and its maps, each (N, C, h, w)."""
        names = [name for name in view.written if name.startswith("maps_")]
        return [batch["a"], *(batch[name] for name in names)]

    def places(view: View, maps: Tensor, chosen: Tensor, layer: int) -> Tensor:
        picked = maps.flatten(2)[:, :, chosen].transpose(1, 2)  # (N, places, C)
        written = view.apply(f"projection_{layer}", {f"place_{layer}": picked.flatten(0, 1)})
        return normalize(written[f"projected_{layer}"], dim=1).reshape(*picked.shape[:2], -1)

    def contrast(view: View, known: list[Tensor], made: Tensor) -> Tensor:
        """The term for maps of images and for what G makes of them, (N, C, H, W)."""
        translated = described(view, view.generate({**view.real, "a": made}))
        losses = []
        for layer, (keys, queries) in enumerate(zip(known, translated, strict=True)):
            order = view.uniform(queries[0, 0].numel()).argsort()
            chosen = order[: config.patches]
            found = places(view, queries, chosen, layer)
            with torch.no_grad():
                own = places(view, keys, chosen, layer)
            losses.append(info_nce(found, own, config.temperature))
        return torch.stack(losses).mean()

    def mirrored(view: View) -> list[Tensor]:
        """What the encoder says of each image, or of its mirror image, mirrored back."""
        image = view.real["a"]
        flips = (view.uniform(len(image), per_sample=True) < 0.5)[:, None, None, None]
        with torch.no_grad():
            given = torch.where(flips, image.flip(3), image)
            maps = described(view, view.generate({**view.real, "a": given}))
        return [torch.where(flips, layer.flip(3), layer) for layer in maps]

    def penalty(view: View) -> Tensor:
        if "b" not in view.written or not any(name.startswith("maps_") for name in view.written):
            raise SettingsError(
                "'patch-nce' needs a generator from a to b that writes the maps of its layers.",
                where=f"this generator writes: {', '.join(view.written)}",
                fix="choose the architecture 'resnet-contrastive', or terms.patch-nce=false",
            )
        known = mirrored(view) if config.flip else described(view, view.fake)
        loss = contrast(view, known, view.fake["b"])
        if config.identity:
            same = view.generate({**view.real, "a": view.real["b"]})
            loss = (loss + contrast(view, described(view, same), same["b"])) / 2
        return config.weight * loss

    return penalty
