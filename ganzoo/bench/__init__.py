"""Measuring speed: training against the machine's limit and a plain loop, exported generators."""
