"""``make fuzz``: property tests that say nothing else try other cases every time, and many more of them."""

from attacks import MINUTES, many
from hypothesis import settings

settings.register_profile("fuzz", max_examples=many(100), deadline=None, database=None, print_blob=True)
if MINUTES:
    settings.load_profile("fuzz")
