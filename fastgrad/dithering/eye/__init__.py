"""What the eye sees of a picture: light, its blur, and where errors show."""
