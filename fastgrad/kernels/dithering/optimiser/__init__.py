"""The search for a palette and for the colour of each pixel."""
