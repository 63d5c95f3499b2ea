"""A pool of earlier generated samples. The discriminators see some of them in place of new ones.

Shrivastava et al. 2017 (arXiv:1612.07828, section 2.3) with the rule of CycleGAN's code (Zhu et al. 2017,
section 4): once the pool is full, each new sample is exchanged for one of the pool with probability 1/2.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ganzoo.api.training import Batch
from ganzoo.fields import Field
from ganzoo.training.compute.device import Engine
from ganzoo.training.shards import Shard


class ReplayBuffer(nn.Module):
    """Pools of `size` samples, one for each game, with all fields of a sample.

    Its buffers are saved in checkpoints and undone with a skipped step. New samples enter the pool at the
    end of a step, so neither the order of shards nor a shard that is computed again changes anything.
    """

    filled: Tensor

    def __init__(self, size: int, games: Sequence[Sequence[Field]]) -> None:
        """`games`: the fields of a sample, for each game."""
        super().__init__()
        self.size = size
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))
        # The name of a field may contain a dot, the name of a buffer may not.
        self._kept = [
            {field.name: f"{game}-{number}" for number, field in enumerate(fields)}
            for game, fields in enumerate(games)
        ]
        for names, fields in zip(self._kept, games, strict=True):
            for field in fields:
                values = torch.zeros(size, *field.shape, dtype=getattr(torch, field.dtype))
                self.register_buffer(names[field.name], values)
        self._chosen: list[tuple[Tensor, Tensor]] = []
        self._new: list[tuple[Tensor, Tensor, Tensor]] = []

    def begin(self, engine: Engine, count: int) -> None:
        """Draw at random what happens to each of `count` new samples of each game in this step."""
        full = self.filled >= self.size
        following = (self.filled + torch.arange(count, device=engine.device)) % self.size
        self._chosen = []
        for _ in self._kept:
            # Different places, so that the samples of a step do not replace each other.
            places = engine.uniform(self.size).argsort(stable=True)[:count]
            taken = full & (engine.uniform(count) < 0.5)
            self._chosen.append((torch.where(full, places, following), taken))

    def restart(self) -> None:
        """Forget the new samples of this step, because it is computed again."""
        self._new = []

    def mixed(self, game: int, samples: Batch, shard: Shard) -> Batch:
        """The samples of a shard, some exchanged for samples of the pool: (n, ...) by field name."""
        rows = slice(shard.start, shard.stop)
        places, taken = (value[rows] for value in self._chosen[game])
        full = self.filled >= self.size
        result = dict(samples)
        for field, name in self._kept[game].items():
            pool, new = self.get_buffer(name), samples[field].detach()
            old = pool.index_select(0, places)
            exchanged = taken.reshape(-1, *[1] * (new.ndim - 1))
            result[field] = torch.where(exchanged, old, new)
            self._new.append((pool, places, torch.where(exchanged | ~full, new, old)))
        return result

    def end(self, count: int) -> None:
        """Write the new samples into the pool."""
        for pool, places, values in self._new:
            pool.index_copy_(0, places, values)
        self._new, self._chosen = [], []
        self.filled.add_(count).clamp_(max=self.size)
