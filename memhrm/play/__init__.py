"""A page in which one plays with trained models: the extra `play`."""
