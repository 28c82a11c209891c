"""The pillar 'Payments': what is owed and paid, and paying."""
