"""The equations of the short-time Fourier transform with real window lengths and positions.

Frame ``p`` has the window ``w(n; t_p, theta_p) = c(theta_p) omega((n - t_p)/theta_p)`` and the transform

    S[q, p] = sum_n x[n] w(n; t_p, theta_p) exp(-2j pi f_q (n - t_p) T)

of [1]_ with one difference: the phase counts from the position ``t_p`` of the frame, not from sample 0: S of [1]_ is
this S times ``exp(-2j pi f_q t_p T)``. The formulas in this folder are for ``window_offset = phase_shift = 0``. With
other values, ``t_p + window_offset`` replaces ``t_p`` in the window, and ``t_p + phase_shift`` in the phase.

Read the files in this order:

- `plan`: the FFT and the settings that all frames share.
- `frames`: lengths, positions and durations of frames, and the samples they take.
- `window_samples`: samples of the windows, their scale ``c``, and the derivatives of both.
- `blocks`: blocks of frames, which threads work on.
- `forward`: the transform ``S`` with one window for each frame.
- `gradients`: the gradient of a loss.
- `vjp`: the adjoint of the transform and the gradients of a loss of ``S``.
- `jvp`: derivatives of analysis and synthesis in a direction.
- `statistics`: sums over the bins of a frame, of which criteria are made, and their gradients.
- `spectrogram`: ``|S|**2`` and its gradients from one FFT.
- `inverse`: the exact inverse with one window for each frame, and its gradients.
- `bins`: transform, adjoint and gradients with a window for each bin.
- `bin_inverse`: the inverse with a window for each bin, by conjugate gradients.
- `operator`: all of these for both kinds of frames; it decides between one window per frame and one per bin.
- `slices`: frames at a constant hop, numbered as in SciPy.
- `padding`: extension of a signal at its ends, and the adjoint.

References
----------
.. [1] M. Leiber, Y. Marnissi, A. Barrau, S. Meignen, L. Massoulie, "Optimal adaptive time-frequency
   representation via differentiable short-time Fourier transform", IEEE Trans. Signal Process. 73, 2025,
   doi:10.1109/TSP.2025.3624477.
"""
