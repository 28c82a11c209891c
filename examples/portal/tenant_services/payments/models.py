"""What the pillar 'Payments' keeps."""
