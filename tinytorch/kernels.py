# Generated from modules/13_kernels/kernels.py by `tito export`. Edit that file, not this one.
"""Kernels."""
