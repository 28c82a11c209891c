"""The published terms for automation on the Universal Credit Landlord Portal, executable."""
