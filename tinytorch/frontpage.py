# Generated from modules/16_capstone/appendix_frontpage.py by `tito export`. Edit that file, not this one.

__all__ = ["PAGE"]


"""The page at /: models, how long they take, a canvas for digits, and a box for texts."""

PAGE = r"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>tinytorch</title><body>to come</body></html>
"""
