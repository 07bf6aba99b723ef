"""Tables whose functions are there and whose assets are not yet: nothing fills them."""

PENDING = frozenset({"features.profiles", "marts.feature_catalogue"})
