"""Samples -> features -> metrics -> a report."""
