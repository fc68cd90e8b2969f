# Generated from modules/02_tensor/appendix_errors.py by `tito export`. Edit that file, not this one.
"""What does not fit, said in words: what was asked, what was given, what may have been meant."""

from .devices import devices_apart

__all__ = ["ShapeError", "shape_of", "explained", "mismatch"]


class ShapeError(RuntimeError, ValueError):
    """Shapes that do not fit; PyTorch raises a RuntimeError here, NumPy a ValueError, and this is both."""


def shape_of(x) -> str:
    """A shape as people write it; for what has none, the value."""
    return str(tuple(x.shape)) if hasattr(x, "shape") else repr(x)


def explained(op, arrays: list, error: Exception) -> Exception:
    """NumPy's complaint about what an op was given, as a sentence about shapes."""
    if isinstance(error, RuntimeError): return error        # a sentence already
    if apart := devices_apart(arrays): return RuntimeError(apart)
    if isinstance(error, TypeError): return error
    kind = IndexError if isinstance(error, IndexError) else ShapeError      # a dim out of range
    return kind(f"{op.name} cannot take {' and '.join([shape_of(x) for x in arrays])}: {error}")


def mismatch(x, y) -> ShapeError:
    """Which sides of a matrix product do not fit, and what may have been meant."""
    given = f"matmul cannot take {shape_of(x)} and {shape_of(y)}"
    if not (x.ndim and y.ndim): return ShapeError(f"{given}: a single number has no rows to multiply")
    turned = y.ndim > 1 and y.shape[-1] == x.shape[-1]
    advice = f" Did you mean y.mT, of shape {shape_of(y.swapaxes(-1, -2))}?" if turned else ""
    return ShapeError(f"{given}: {x.shape[-1]} columns meet {y.shape[-2:][0]} rows.{advice}")
