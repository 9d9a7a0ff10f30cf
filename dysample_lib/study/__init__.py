"""Runs, their records, and what these show."""
