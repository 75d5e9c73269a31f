"""Pictures of any size: learned on a sample, dithered from top to bottom, never all in memory."""
