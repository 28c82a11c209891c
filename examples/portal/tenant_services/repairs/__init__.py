"""The pillar 'Repairs': what is broken, and when it is mended."""
