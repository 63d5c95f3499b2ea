"""TensorBoard's event files: scalars, pictures, sounds, and the settings as a table."""

from __future__ import annotations

import time
import wave
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from ganzoo.api import SettingsError, TrackedRun, optional_package
from ganzoo_trackers.config import TensorBoardConfig

PICTURES = (".png", ".gif", ".jpg")


class TensorBoard:
    """Writes the event files of a run into its directory; a resumed run adds another file."""

    def __init__(self, config: TensorBoardConfig) -> None:
        def module(name: str) -> Any:
            use = "The tracker 'tensorboard'"
            return optional_package(f"tensorboard.{name}", "tensorboard", use, raises=SettingsError)

        self._files = module("summary.writer.event_file_writer")
        self._summary = module("compat.proto.summary_pb2")
        self._event = module("compat.proto.event_pb2").Event
        self._tensor = module("compat.proto.tensor_pb2").TensorProto
        self._folder = config.folder

    def start(self, run: TrackedRun) -> str:
        """Open an event file; a new run begins with a table of its settings."""
        self._writer = self._files.EventFileWriter(str(run.folder / self._folder))
        if not run.known_as:
            rows = "".join(f"| {name} | {value} |\n" for name, value in run.settings.items())
            self._write(0, [self._text("settings", f"| setting | value |\n|---|---|\n{rows}")])
        return self._folder

    def log(self, images: int, values: Mapping[str, float]) -> None:
        """Scalars, on the disk when this returns."""
        value = self._summary.Summary.Value
        self._write(images, [value(tag=name, simple_value=number) for name, number in values.items()])

    def samples(self, images: int, files: Sequence[Path]) -> None:
        """Pictures and sounds, as they are in the files; TensorBoard shows no other kinds."""
        found = []
        for file in files:
            tag = f"samples{file.stem[12:]}"
            if file.suffix in PICTURES:
                found.append(self._picture(tag, file))
            elif file.suffix == ".wav":
                found.append(self._sound(tag, file))
        self._write(images, found)

    def end(self, status: str) -> None:
        """Close the file."""
        self._writer.close()

    def _write(self, images: int, values: Sequence[Any]) -> None:
        summary = self._summary.Summary(value=values)
        self._writer.add_event(self._event(wall_time=time.time(), step=images, summary=summary))
        self._writer.flush()

    def _picture(self, tag: str, file: Path) -> Any:
        with Image.open(file) as picture:
            width, height, channels = *picture.size, len(picture.getbands())
        kind = self._summary.Summary.Image
        image = kind(height=height, width=width, colorspace=channels, encoded_image_string=file.read_bytes())
        return self._summary.Summary.Value(tag=tag, image=image)

    def _sound(self, tag: str, file: Path) -> Any:
        with wave.open(str(file)) as sound:
            rate, channels, frames = sound.getframerate(), sound.getnchannels(), sound.getnframes()
        audio = self._summary.Summary.Audio(
            sample_rate=rate,
            num_channels=channels,
            length_frames=frames,
            encoded_audio_string=file.read_bytes(),
            content_type="audio/wav",
        )
        return self._summary.Summary.Value(tag=tag, audio=audio)

    def _text(self, tag: str, text: str) -> Any:
        metadata = self._summary.SummaryMetadata
        plugin = metadata.PluginData(plugin_name="text")
        content = self._tensor(dtype="DT_STRING", string_val=[text.encode()])
        return self._summary.Summary.Value(tag=tag, metadata=metadata(plugin_data=plugin), tensor=content)
