"""What the pillar 'Contact' keeps."""
