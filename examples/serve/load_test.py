"""Try a running server of `app.py`: 1,000 requests, bad ones, slow clients. Needs nothing but Python.

python examples/serve/load_test.py http://127.0.0.1:8000
"""

from __future__ import annotations

import contextlib
import socket
import statistics
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

BAD = (
    "seed=-1", "seed=99999999999999999999", "seed=x", "label=dragon", "label=" + "x" * 5000, "seed=%00",
    "seed=1&seed=2", "label=%F0%9F%91%9F", "n=1000000",
)  # fmt: skip


def ask(url: str) -> tuple[int, float, bytes]:
    """Status, seconds, body."""
    start = time.perf_counter()
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 (the address is the user's own)
            return answer.status, time.perf_counter() - start, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, time.perf_counter() - start, error.read()


def series(url: str, clients: int, count: int = 1000) -> None:
    """So many requests from so many clients at once; one line of figures."""
    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        found = list(pool.map(lambda seed: ask(f"{url}/image?seed={seed}"), range(count)))
    seconds = time.perf_counter() - start
    took = sorted(1000 * item[1] for item in found if item[0] == 200)
    codes = dict(Counter(item[0] for item in found))
    late = took[int(0.99 * (len(took) - 1))]
    print(
        f"{clients:2} clients: {codes}, {len(took) / seconds:.0f} images/s, "
        f"median {statistics.median(took):.1f} ms, 99 % {late:.1f} ms"
    )


def main(url: str) -> None:
    """All of it, then the same picture as before."""
    before = ask(f"{url}/image?seed=7")[2]
    for clients in (1, 4, 32):
        series(url, clients)
    print("bad requests:", {query[:24]: ask(f"{url}/image?{query}")[0] for query in BAD})
    place = urlsplit(url)
    with contextlib.ExitStack() as stack:
        for _ in range(50):  # clients that begin a request and do not end it
            slow = stack.enter_context(socket.create_connection((place.hostname, place.port or 80)))
            slow.sendall(b"GET /image?seed=1 HTTP/1.1\r\nHost: x\r\n")
        print("beside 50 slow clients:", end=" ")
        series(url, 4, 200)
    print("the same picture as before:", ask(f"{url}/image?seed=7")[2] == before)


main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")
