"""Read config.pbtxt files with Triton's own schema: `python tools/check_triton.py REPOSITORY`.

Needs `pip install "tritonclient[grpc]"` in an environment of its own: it wants an older protobuf than onnx.
"""

from __future__ import annotations

import sys
from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2


def main(repository: Path) -> None:
    """Parse each model's configuration; fail for unknown names, or inputs without a warm-up."""
    for file in sorted(repository.glob("*/config.pbtxt")):
        config = text_format.Parse(file.read_text(encoding="utf-8"), model_config_pb2.ModelConfig())
        warm = {name for warmup in config.model_warmup for name in warmup.inputs}
        if config.name != file.parent.name or warm != {item.name for item in config.input}:
            sys.exit(f"{file}: another name than its folder's, or inputs without a warm-up")
        print(f"{config.name}: {len(config.input)} inputs, {len(config.output)} outputs")


main(Path(sys.argv[1]))
