"""The demonstration Landlord Portal."""
