"""Bundles from and to other places: the Hugging Face Hub, an address, a file.

Nothing here loads a graph: what is fetched is checked against checksums and by `runtime.guard`, then written.
"""
