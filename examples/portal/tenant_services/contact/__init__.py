"""The pillar 'Contact': ways to a person, and notices to tenants."""
