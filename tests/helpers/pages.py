"""What tests ask a browser about a page of `ganzoo page`."""

READY = "document.documentElement && document.documentElement.dataset.ready"
"""Changes with each answer of the worker."""

PIXELS = """[...document.querySelector('#stage canvas').getContext('2d').getImageData(0, 0, 28, 28).data]
    .filter((_, i) => i % 4 === 0)"""
"""The gray values of the sample that is shown large."""
