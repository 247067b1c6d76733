"""Timing an epoch of miniframe beside other frameworks, taking turns in one process."""

from .runner import run as run
