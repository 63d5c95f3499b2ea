"""The child process: `python -m tests.cuda_model LIBRARY`, jobs as lines of JSON in, reports out."""

from __future__ import annotations

import ctypes
import json
import sys

if __name__ == "__main__":
    ctypes.CDLL(sys.argv[1], mode=ctypes.RTLD_GLOBAL)
    # After it: torch looks for a CUDA device once.
    from tests.cuda_model.cycles import examine

    for line in sys.stdin:
        print(json.dumps(examine(**json.loads(line))), flush=True)
