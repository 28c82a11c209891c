"""The tables of what all the systems share."""
