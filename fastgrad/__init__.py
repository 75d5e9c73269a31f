"""Gradients of expectations over discrete random variables, on the CPU."""
