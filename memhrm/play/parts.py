"""What a turn makes of the parts of the page, told without the page's library."""

from typing import Any

Parts = dict[str, Any]
"""By the name of a part: its new value, or a `Change`."""


class Change(dict[str, Any]):
    """Properties of a part that change, by their names in the page's library."""
