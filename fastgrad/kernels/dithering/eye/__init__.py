"""The blur that stands for the viewer's eye."""
