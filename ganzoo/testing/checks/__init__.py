"""The checks of the conformance kit, a file for each kind of record."""
