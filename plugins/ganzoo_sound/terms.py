"""Terms of a vocoder's generator: distances between a sound and the real one of the same spectrogram."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ganzoo.api import SettingsError, View
from ganzoo_sound.config import WeightConfig

Penalty = Callable[[View], Tensor]


def matched_features(config: WeightConfig) -> Penalty:
    """Factory of `matched-features`: weight * E sum |f(x) - f(G(mel))| over D's features (N, F).

    Kong et al. 2020, equation 4: sample by sample, where `feature-matching` compares means of the batch.
    SettingsError for a discriminator that writes none.
    """

    def penalty(view: View) -> Tensor:
        real, fake = (outputs.get("features") for outputs in (view.real_outputs, view.fake_outputs))
        if real is None or fake is None:
            raise SettingsError(
                "'matched-features' needs a discriminator that writes `features`.",
                fix="choose the architecture 'hifi-gan' or 'vocos', or terms.matched-features=false",
            )
        return config.weight * (real.detach() - fake).abs().flatten(1).sum(1).mean()

    return penalty


def mel_distance(config: WeightConfig) -> Penalty:
    """Factory of `mel-distance`: weight * E |log mel(x) - log mel(G(mel))|, a mean over all values.

    Kong et al. 2020, equation 3; the spectrogram of all frequencies is the network `log-mel`. SettingsError
    without that network.
    """

    def penalty(view: View) -> Tensor:
        try:
            real, fake = (view.apply("log-mel", batch)["log_mel"] for batch in (view.real, view.fake))
        except KeyError as error:
            raise SettingsError(
                "'mel-distance' needs the network `log-mel` of a vocoder.",
                fix="choose the architecture 'hifi-gan' or 'vocos', or terms.mel-distance=false",
            ) from error
        return config.weight * (real - fake).abs().mean()

    return penalty
