"""The public transforms.

- `adaptive`: `AdaptiveShortTimeFFT`. Its base classes are in `geometry` (parameters, axes and frames), `derivatives`
  (gradients in the parameters), `analysis` (forward transform) and `synthesis` (inverse).
- `scipy_compatible`: `ShortTimeFFT`, with the interface of SciPy. `scipy_windows` converts windows to and from SciPy.
- `streaming`: both transforms block by block, for long and live signals.
- `axes`: conversion between the axes of the user and those of the engine.
- `gradient`: the public class `Gradient`.
"""
