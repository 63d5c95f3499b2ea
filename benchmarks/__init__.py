"""Training speed of ganzoo's loop beside other projects' own loops. Not part of the distribution."""
