"""Reads files of weights that other programs wrote, without running any code that they name; numpy only."""
