"""What the build of the site makes by code."""
