"""Commands of tenant services."""
