"""Data as batches: arrays in memory, arrays in files, and streams."""
