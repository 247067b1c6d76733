"""The parts of the site that docs/build.py puts together."""
