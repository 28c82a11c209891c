"""What the pillar 'Profile' keeps."""
