"""Kernels of the dithering application. Pictures are planar: shape (3, height, width), float32."""
