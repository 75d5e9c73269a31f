"""Image files, palettes, animations, and pages of pictures."""
