"""Random arrays for the CUDA checks."""


def numbers(rng, dtype, *shape):
    """Return normally distributed numbers, real or complex."""
    values = rng.standard_normal(shape)
    return (values + 1j * rng.standard_normal(shape)).astype(dtype) if dtype.kind == "c" else values.astype(dtype)
