"""A small server of exported images.

    pip install ./deploy/serving fastapi uvicorn
    BUNDLE=exported/cgan uvicorn --app-dir examples/serve app:app

GET /image?seed=7&label=Bag answers with a PNG. At most eight requests wait, each at most two seconds.
"""

from __future__ import annotations

import asyncio
import io
import os
from typing import Annotated

from fastapi import FastAPI, HTTPException, Query, Response
from PIL import Image

import ganzoo
from ganzoo.errors import UsageError

WAITING, SECONDS = 8, 2.0  # requests that may wait, beside the one that computes; for how long each

app = FastAPI()
generator = ganzoo.load(os.environ.get("BUNDLE", "exported/cgan"), threads=1)
computing = asyncio.Semaphore(1)
inside = 0


@app.get("/image", response_class=Response)
async def image(
    seed: Annotated[int, Query(ge=0, lt=2**32)] = 0,
    label: Annotated[str | None, Query(max_length=100)] = None,
) -> Response:
    """One image as PNG; 422 for values that the generator does not take, 503 when too many requests wait."""
    global inside
    if inside > WAITING:
        raise HTTPException(503, "busy", headers={"Retry-After": "1"})
    inside += 1
    try:
        async with asyncio.timeout(SECONDS):
            await computing.acquire()
        try:
            (pixels,) = await asyncio.to_thread(generator.images, 1, seed, label=label)
        finally:
            computing.release()
    except TimeoutError:
        raise HTTPException(503, "busy", headers={"Retry-After": "1"}) from None
    except UsageError as error:
        raise HTTPException(422, error.what) from None
    finally:
        inside -= 1
    file = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(file, "PNG")
    return Response(file.getvalue(), media_type="image/png")
