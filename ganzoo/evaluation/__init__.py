"""Evaluation: samples -> features -> metrics -> a report."""
