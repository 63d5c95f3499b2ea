"""Kinds of data by name: the `Media` of a field, and the kind of a field that does not say it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from typing import Any, cast

from ganzoo.api.media import ARRAY, Media, Preview
from ganzoo.api.specs import MediaSpec
from ganzoo.errors import DataError, PluginError
from ganzoo.fields import Field
from ganzoo.registry.registry import Item, Registry, calling, made_by
from ganzoo.util.text import Unit

_REFUSES = ("check", "read")  # methods whose ValueError and OSError are answers
_PREVIEWS = ("preview", "neighbours")  # methods that return a file


class Kinds:
    """The media records of the plugins. A `Media` is built when it is first needed."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._built: dict[str, Media] = {}

    @cached_property
    def _items(self) -> list[Item[MediaSpec]]:
        return self.registry.of_kind(MediaSpec)

    def of(self, kind: str) -> Media:
        """The `Media` of that kind; one for arrays if no plugin has it. UsageError if two plugins have it."""
        if kind not in self._built:
            found = _built(self.registry.find(MediaSpec, kind)) if self.knows(kind) else Media()
            self._built[kind] = found
        return self._built[kind]

    def knows(self, kind: str) -> bool:
        """Whether a plugin has that kind."""
        return bool(self.registry.matches(MediaSpec, kind))

    def unknown(self, fields: Iterable[Field]) -> list[str]:
        """A note for each field whose kind no plugin has."""
        return [
            f"no plugin here knows the kind '{field.kind}' of '{field.name}': its samples are arrays (.npz)"
            for field in fields
            if field.kind and field.kind != ARRAY and not self.knows(field.kind)
        ]

    def unit(self, fields: Iterable[Field]) -> Unit:
        """What samples are called whose first float field is among these; samples if none is."""
        media = self._first(fields)
        return Unit(media.noun, media.nouns)

    def few(self, fields: Iterable[Field]) -> int:
        """`Media.few` of the first float field."""
        return self._first(fields).few

    def _first(self, fields: Iterable[Field]) -> Media:
        field = next((item for item in fields if item.dtype == "float32"), None)
        return Media() if field is None else self.of(field.kind)

    def version(self, kind: str) -> str:
        """Name and version of what decides how samples of that kind are compared."""
        found = self.registry.matches(MediaSpec, kind)
        return f"{found[0].qualified} {found[0].plugin.version}" if found else kind

    def assign(self, fields: Iterable[Field], *, api: int = 1) -> tuple[Field, ...]:
        """The fields with a kind and names of axes.

        Fields that say no kind are arrays if their plugin is written for version 2 of the API or later.
        Otherwise, and in old files, the media records are asked. DataError for a field that cannot be of its
        kind.
        """
        return tuple(self._with_kind(field, api) for field in fields)

    def _with_kind(self, field: Field, api: int) -> Field:
        kind = field.kind
        if not kind:
            if field.source != "data" or field.dtype != "float32":
                return field
            kind = self._claimed(field) if api < 2 else ARRAY
        media = self.of(kind)
        try:
            made = replace(field, kind=kind, axes=field.axes or media.axes(len(field.shape)))
            media.check(made)
        except ValueError as error:
            raise DataError(
                f"The field '{field.name}' cannot be of the kind '{kind}': {error}.",
                where=f"it is {field.dtype} of the shape {field.shape}",
                fix="its dataset plugin declares the kind; `ganzoo list --kind media` shows the others",
            ) from error
        return made

    def _claimed(self, field: Field) -> str:
        for item in self._items:
            name = self.registry.canonical(MediaSpec, item.qualified)
            if self.of(name).claims(field):
                return name
        return ARRAY


def _is_suffix(text: Any) -> bool:
    if not isinstance(text, str) or len(text) > 12:
        return False
    start, *parts = text.split(".")  # .nii.gz has two parts
    return not start and 1 <= len(parts) <= 2 and all(part.isalnum() for part in parts)


def _built(item: Item[MediaSpec]) -> Media:
    media = made_by(item)
    suffixes = (*media.suffixes, *media.reads) if isinstance(media, Media) else (None,)
    if not all(map(_is_suffix, suffixes)):
        raise PluginError(
            f"The media record '{item.name}' makes a {type(media).__name__} with file endings {suffixes}.",
            where=item.qualified,
            fix="its factory returns a ganzoo.api.Media with endings such as '.png'",
        )
    return cast(Media, _Contained(media, item))


class _Contained:
    """A `Media` whose exceptions, and previews that are none, name its plugin."""

    def __init__(self, media: Media, item: Item[MediaSpec]) -> None:
        self._media, self._item = media, item

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._media, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **options: Any) -> Any:
            with calling(self._item):
                try:
                    result = found(*arguments, **options)
                except (ValueError, OSError) as error:
                    if name not in _REFUSES:
                        raise
                    refusal = error
                else:
                    return result if name not in _PREVIEWS else _checked(result, self._item)
            raise refusal

        return call


def _checked(found: Any, item: Item[MediaSpec]) -> Preview | None:
    parts = (found, *found.also) if isinstance(found, Preview) else (found,)
    good = all(
        isinstance(part, Preview) and isinstance(part.data, bytes) and _is_suffix(part.suffix)
        for part in parts
    )
    if found is not None and not good:
        raise PluginError(
            f"The media record '{item.name}' returned no preview: {type(found).__name__}.",
            where=item.qualified,
            fix='return Preview(suffix=".png", data=bytes), or None',
        )
    return cast("Preview | None", found)
