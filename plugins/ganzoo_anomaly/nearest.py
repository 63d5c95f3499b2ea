"""How far an image's features are from those of the nearest normal image."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Principal axes of the features in which distances are measured, at most a quarter of the images. Axes fit
# the images that they come from, so new ones are nearer to these than those to each other: with 250 garments
# of a class, 3.6 % of new ones were above the 95 % quantile.
AXES = 64
BANK = 2_000  # normal images that are kept in the graph: half a megabyte for 64 axes


class Nearest(nn.Module):
    """features (N, F) -> squared distance to the nearest normal features over F, (N,).

    Normal features are kept by their places on the axes only; those of other images count as they are.
    The nearest neighbour as a score: Ramaswamy et al. 2000 (SIGMOD); in features of a network: Bergman et
    al. 2020, arXiv:2002.10445. One neighbour, because a minimum is an operator of every runtime.
    """

    centre: Tensor
    axes: Tensor
    bank: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        # Set when the networks are exported, so they are no part of a checkpoint.
        self.register_buffer("centre", torch.zeros(features), persistent=False)
        self.register_buffer("axes", torch.zeros(features, 1), persistent=False)
        self.register_buffer("bank", torch.zeros(1, 1), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """(N, F) -> (N,)."""
        return self._squares(features).amin(1) / len(self.centre)

    def fit(self, normal: Tensor) -> Tensor:
        """Keep normal features (N, F); returns their distances to the nearest of the others, (N,).

        Of more than `BANK` images, evenly spaced ones are kept. A single image has distance 0, for there is
        no other; the axes are none then, and distances are those to this image.
        """
        rows = torch.linspace(0, len(normal) - 1, min(len(normal), BANK)).round().long()
        self.centre.copy_(normal[rows].mean(0))
        centred = (normal[rows] - self.centre).double()
        # Fewer images than features: the eigenvectors of (N, N) give the axes.
        values, vectors = torch.linalg.eigh(centred @ centred.T)
        kept = max(1, min(AXES, len(rows) // 4, normal.shape[1]))
        axes = centred.T @ vectors[:, -kept:] / values[-kept:].clamp_min(1e-12).sqrt()
        self.axes = axes.to(normal)
        self.bank = (normal[rows] - self.centre) @ self.axes
        apart = self._squares(normal)
        if len(normal) > 1:
            apart[rows, torch.arange(len(rows))] = torch.inf  # itself
        return apart.amin(1) / len(self.centre)

    def _squares(self, features: Tensor) -> Tensor:
        """Squared distances to all that is kept: (N, F) -> (N, kept)."""
        centred = features - self.centre
        # What is off the axes is in the first sum: without it, few axes see nothing of an unlike image.
        squares: Tensor = (
            centred.square().sum(1, keepdim=True)
            - 2 * centred @ self.axes @ self.bank.T
            + self.bank.square().sum(1)
        )
        return squares.clamp_min(0)
