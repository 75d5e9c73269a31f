"""Counter-based bits (Philox4x32-10), and the noise made of them."""
