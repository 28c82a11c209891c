"""What the pillar 'Repairs' keeps."""
