"""The networks of f-AnoGAN (Schlegl et al. 2019), with the convolutions of WGAN-GP.

The generator and the critic play WGAN-GP. The encoder E is part of no game: the term `izi` trains it. The
exported graph `anomaly` is E, G, and the critic twice; with `nearest`, it also has features of normal images.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ganzoo.api import DataInfo, Export, Field, Net, Networks, Step, halvings
from ganzoo_anomaly.config import FanoganConfig
from ganzoo_anomaly.nearest import Nearest
from ganzoo_anomaly.residual import downward, upward
from ganzoo_wgan_gp.config import ConvConfig
from ganzoo_wgan_gp.conv import Critic, Generator

LEVELS = (0.95, 0.99)  # shares of normal scores whose thresholds are kept
GRID = 1000  # quantiles of normal scores in the graph


class FeatureCritic(nn.Module):
    """image (N, C, H, W) -> score (N,) and the features (N, F) that its last layer reads."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) -> (N,), (N, F)."""
        features = self.layers[:-1](image)
        return self.layers[-1](features).flatten(), features


class Encoder(nn.Module):
    """image (N, C, H, W) -> z (N, latent), with `bounded` in -1..1."""

    def __init__(self, layers: nn.Sequential, *, bounded: bool) -> None:
        super().__init__()
        self.layers = layers
        self.bound = nn.Tanh() if bounded else nn.Identity()

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, latent)."""
        code: Tensor = self.bound(self.layers(image))
        return code


def _plain(config: FanoganConfig, image: Field) -> tuple[nn.Module, nn.Sequential, nn.Sequential]:
    """The generator, and the layers of critic and encoder: convolutions of WGAN-GP."""
    conv = ConvConfig(
        latent=config.latent,
        latent_distribution=config.latent_distribution,
        generator_width=config.generator_width,
        discriminator_width=config.discriminator_width,
        kernel=config.kernel,
        discriminator_extra=1,
        # G is used in the middle of a graph: batch statistics of codes are not those of noise.
        generator_norm="none",
    )
    stages = halvings(*image.shape[1:])
    generator, critic, encoder = (net(conv, image, stages) for net in (Generator, Critic, Critic))
    encoder.layers[-1] = nn.Linear(_features(encoder.layers), config.latent)
    return generator, critic.layers, encoder.layers


def _residual_networks(config: FanoganConfig, image: Field) -> tuple[nn.Module, nn.Sequential, nn.Sequential]:
    """The same: the published residual networks."""
    critic = downward(config, image, 1, "layer")
    return upward(config, image), critic, downward(config, image, config.latent, "batch")


def _features(layers: nn.Sequential) -> int:
    """How many features the last layer reads."""
    return int(layers[-1].in_features)  # type: ignore[arg-type]


def anomaly_score(
    image: Tensor, again: Tensor, features: Tensor, features_again: Tensor, kappa: float
) -> Tensor:
    """Mean (x - x')^2 + kappa mean (f(x) - f(x'))^2 of each sample, (N,): equations 6 and 7."""
    apart = (image - again).square().flatten(1).mean(1)
    score: Tensor = apart + kappa * (features - features_again).square().flatten(1).mean(1)
    return score


class Anomaly(nn.Module):
    """Images and their reconstructions -> score, share of normal scores below it, verdict, residual map.

    `normal` are quantiles of the scores of held-out normal images, `threshold` is that of the level.
    """

    normal: Tensor
    threshold: Tensor

    def __init__(self, config: FanoganConfig, features: int) -> None:
        super().__init__()
        self.kappa, self.share = config.kappa, config.nearest
        self.nearest = Nearest(features) if config.nearest else None
        # Set when the networks are exported, so they are no part of a checkpoint.
        self.register_buffer("normal", torch.zeros(GRID), persistent=False)
        self.register_buffer("threshold", torch.zeros(()), persistent=False)

    def forward(
        self, image: Tensor, reconstruction: Tensor, features: Tensor, features_again: Tensor
    ) -> tuple[Tensor, ...]:
        """(N, C, H, W) twice, (N, F) twice -> (N,), (N,), (N,), (N, C, H, W)."""
        score = anomaly_score(image, reconstruction, features, features_again, self.kappa)
        if self.nearest is not None:
            score = self.joined(score, self.nearest(features))
        share = (score[:, None] >= self.normal).to(score.dtype).mean(1)
        return score, share, (score > self.threshold).to(score.dtype), (image - reconstruction).abs()

    def joined(self, residual: Tensor, nearest: Tensor) -> Tensor:
        """The geometric mean, weighted: the scale of either changes no order of samples."""
        return residual ** (1 - self.share) * nearest**self.share


def build(config: FanoganConfig, data: DataInfo) -> Networks:
    """Factory of `f-anogan`; DataError unless the images have 8x8 pixels or more."""
    image = data.image(smallest=8)
    networks = _residual_networks if config.networks == "residual" else _plain
    generator, layers, encoder_layers = networks(config, image)
    critic = FeatureCritic(layers)
    encoder = Encoder(encoder_layers, bounded=config.latent_distribution == "uniform")
    many = _features(layers)
    anomaly = Anomaly(config, many)

    def calibrate(batches: Iterable[Mapping[str, Tensor]]) -> Mapping[str, Mapping[str, Any]]:
        """Set the quantiles and the threshold from normal images, and keep their features."""
        residuals, features = zip(*(_scored(batch["image"]) for batch in batches), strict=True)
        scores = torch.cat(residuals)
        if anomaly.nearest is not None:
            scores = anomaly.joined(scores, anomaly.nearest.fit(torch.cat(features)))
        scores = scores.double()
        anomaly.normal.copy_(scores.quantile(torch.linspace(0, 1, GRID, dtype=torch.float64)))
        anomaly.threshold.copy_(scores.quantile(config.level))
        kept = {f"threshold_{100 * level:g}": float(scores.quantile(level)) for level in LEVELS}
        facts = {**kept, "threshold": float(anomaly.threshold), "level": config.level}
        return {"anomaly": {**facts, "normal_samples": len(scores)}}

    def _scored(images: Tensor) -> tuple[Tensor, Tensor]:
        again = generator(encoder(images))
        features = critic(images)[1]
        score = anomaly_score(images, again, features, critic(again)[1], config.kappa)
        return score, features if config.nearest else features[:0]

    return Networks(
        generators={
            "generator": Net(module=generator, reads=("z",), writes=("image",)),
            "encoder": Net(
                module=encoder, reads=("image",), writes=("z",), rates={"layers": config.encoder_rate}
            ),
        },
        discriminators={
            "discriminator": Net(module=critic, reads=("image",), writes=("score", "features")),
            "anomaly": Net(
                module=anomaly,
                reads=("image", "reconstruction", "features", "features_again"),
                writes=("anomaly", "quantile", "is_anomaly", "residual"),
            ),
        },
        fields=(
            Field(name="z", shape=(config.latent,), source=config.latent_distribution),
            replace(image, name="reconstruction"),
            _residual(image),
            Field(name="features", shape=(many,)),
            Field(name="features_again", shape=(many,)),
            Field(name="anomaly"),
            Field(name="quantile", range=(0.0, 1.0)),
            Field(name="is_anomaly", range=(0.0, 1.0)),
        ),
        exports=(Export(name="generator", steps=(Step(net="generator"),)), DETECTOR),
        calibrate=calibrate,
    )


DETECTOR = Export(
    name="anomaly",
    steps=(
        Step(net="encoder"),
        Step(net="generator", writes={"image": "reconstruction"}),
        Step(net="discriminator", writes={"score": "realness"}),
        Step(
            net="discriminator",
            reads={"image": "reconstruction"},
            writes={"score": "realness_again", "features": "features_again"},
        ),
        Step(net="anomaly"),
    ),
    outputs=("anomaly", "quantile", "is_anomaly", "reconstruction", "residual"),
)


def _residual(image: Field) -> Field:
    """The field of |x - x'|, in the units of the images."""
    low, high = image.range or (-1.0, 1.0)
    facts, original = (
        {name: value for name, value in image.facts.items() if name not in ("window", "ranges")},
        None,
    )
    if image.original is not None:
        original = (0.0, image.original[1] - image.original[0])
        if facts.get("values") == "int16":
            facts["values"] = "uint16"
    return replace(image, name="residual", range=(0.0, high - low), original=original, facts=facts)
