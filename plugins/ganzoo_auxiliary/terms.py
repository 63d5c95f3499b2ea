"""Losses of D's predictions of a class label or of codes, for D and for G."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from ganzoo.api import Batch, SettingsError, View
from ganzoo_auxiliary.config import CodesConfig, GuessLabelConfig, ShowLabelConfig

Penalty = Callable[[View], Tensor]


def label_loss(outputs: Batch, batch: Batch, term: str) -> Tensor:
    """-E log P(label | x): D's `label_logits` (N, classes) against the labels (N,) of the batch.

    The result is a scalar. SettingsError where either is missing; `term` is the name that it says.
    """
    if "label_logits" not in outputs or "label" not in batch:
        raise SettingsError(
            f"The term '{term}' needs labels, and a discriminator that writes 'label_logits'.",
            where=f"this one writes {', '.join(outputs)}; the batch has {', '.join(batch)}",
            fix=f"choose the architecture 'acgan-conv', or terms.{term}=false",
        )
    return cross_entropy(outputs["label_logits"], batch["label"])


def guess_label(config: GuessLabelConfig) -> Penalty:
    """Factory of `guess-label`: -L_C of Odena et al. 2017, equation 3. D maximises L_C."""

    def penalty(view: View) -> Tensor:
        real = label_loss(view.real_outputs, view.real, "guess-label")
        if not config.fake_weight:
            return config.real_weight * real
        fake = label_loss(view.fake_outputs, view.fake, "guess-label")
        return config.real_weight * real + config.fake_weight * fake

    return penalty


def show_label(config: ShowLabelConfig) -> Penalty:
    """Factory of `show-label`: the part of -L_C that depends on G, over generated samples."""

    def penalty(view: View) -> Tensor:
        return config.weight * label_loss(view.fake_outputs, view.fake, "show-label")

    return penalty


def codes(config: CodesConfig, term: str) -> Penalty:
    """-lambda L_I of Chen et al. 2016, equation 5, without the entropy of the codes, which is a constant.

    For each noise field NAME: if D writes `NAME_logits`, the cross entropy; if D writes `NAME_mean`, half the
    squared distance, summed over its values. That is -log Q of a Gaussian with variance 1, as in the authors'
    MNIST code. With a learned variance the term would have no lower bound. SettingsError if D predicts no
    noise field.
    """

    def penalty(view: View) -> Tensor:
        outputs, found = view.fake_outputs, []
        for name, value in view.noise.items():
            if f"{name}_logits" in outputs:
                loss = cross_entropy(outputs[f"{name}_logits"], value)
                found.append(config.categorical_weight * loss)
            if f"{name}_mean" in outputs:
                distance = (value - outputs[f"{name}_mean"]).square().flatten(1).sum(1).mean()
                found.append(config.continuous_weight * distance / 2)
        if not found:
            raise SettingsError(
                f"The term '{term}' needs a discriminator that predicts a noise field.",
                where=f"this one writes {', '.join(outputs)}; the noise fields are {', '.join(view.noise)}",
                fix=f"choose the architecture 'infogan-conv', or terms.{term}=false",
            )
        return torch.stack(found).sum()

    return penalty


def guess_codes(config: CodesConfig) -> Penalty:
    """Factory of `guess-codes`: trains D, whose body the network Q of the paper shares."""
    return codes(config, "guess-codes")


def show_codes(config: CodesConfig) -> Penalty:
    """Factory of `show-codes`: trains G."""
    return codes(config, "show-codes")
