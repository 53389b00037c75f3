"""The transform of a result with the frames of its search alone."""


def on_frames(res):
    """Return the transform at the positions of the search, whose value is that of the result."""
    return res.sft if res.sft.hop is None else res.sft.remade(hop=None, positions=res.positions)
