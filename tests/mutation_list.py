"""Changes of the package that its tests must find; ``tests/mutations.py`` makes them, one at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Mutation:
    """One change of the package.

    Attributes
    ----------
    file : str
        File in ``adaptstft/``.
    old, new : str
        Text that occurs once in the file, and the text in its place.
    why : str
        What the change breaks.
    tests : str
        Test files and options of pytest that are likely to find it, relative to ``tests/``.
    """

    file: str
    old: str
    new: str
    why: str
    tests: str

    def apply(self, package: Path) -> None:
        """Change the file in a copy of the package."""
        path = package / self.file
        text = path.read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise ValueError(f"{self.file}: {self.old!r} occurs {text.count(self.old)} times, not once")
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


MUTATIONS: list[Mutation] = [
    Mutation(
        "kernels/cpu/windows.py",
        "dw[i] = -dw[i]",
        "dw[i] = dw[i]",
        "sign of the window's derivative before its centre",
        "kernels/test_kernels.py engine/test_vjp.py",
    ),
    Mutation(
        "kernels/cpu/windows.py",
        "return min(count, math.floor(-lead) + 1) if mirrored else count",
        "return min(count, math.floor(-lead)) if mirrored else count",
        "one sample too few is evaluated before mirroring",
        "kernels/test_kernels.py engine/test_forward.py",
    ),
    Mutation(
        "kernels/cpu/frames.py",
        "wrap = mfft - offset[b]\n        if lo < mid:\n            scaled_product(",
        "wrap = mfft - offset[b] - 1\n        if lo < mid:\n            scaled_product(",
        "column after the wrap of a frame in the FFT input",
        "engine/test_forward.py",
    ),
    Mutation(
        "kernels/cpu/frames.py",
        "a1 += d * ((lead + i) * step)",
        "a1 += d * (lead + i)",
        "scale of the sum with u in the adjoint of frames",
        "engine/test_vjp.py",
    ),
    Mutation(
        "kernels/cpu/spectra.py",
        "angle = sign * 2.0 * math.pi * delta[b] / mfft",
        "angle = -sign * 2.0 * math.pi * delta[b] / mfft",
        "sign of the rotation to real positions",
        "engine/test_forward.py",
    ),
    Mutation(
        "kernels/cpu/spectra.py",
        "total += k * (gi * sr - gr * si)",
        "total += k * (gi * sr + gr * si)",
        "conjugate in the derivative of the phase",
        "engine/test_vjp.py",
    ),
    Mutation(
        "kernels/cpu/spectra.py",
        "interior = gain if mirrored else 2.0",
        "interior = 2.0",
        "factor of the mirrored bins in the cotangent of sums",
        "kernels/test_kernels.py engine/test_vjp.py",
    ),
    Mutation(
        "kernels/cpu/spectra.py",
        "factor[q] += c * energy[q] ** (a - 1.0) * (a * log_energy[q] + 1.0)",
        "factor[q] += c * energy[q] ** (a - 1.0) * (a * log_energy[q])",
        "derivative of E**a log E",
        "kernels/test_kernels.py engine/test_vjp.py",
    ),
    Mutation(
        "kernels/cpu/fused.py",
        "energy[1, b] -= c / theta[b] * a2",
        "energy[1, b] += c / theta[b] * a2",
        "sign of the energy's derivative in the centre",
        "kernels/test_kernels.py engine/test_vjp.py",
    ),
    Mutation(
        "kernels/cpu/fused.py",
        "return zero, nyquist if row.size % 2 == 0 else 0.0",
        "return zero, nyquist",
        "Nyquist term of odd FFTs",
        "kernels/test_kernels.py",
    ),
    Mutation(
        "kernels/cpu/bins.py",
        "below = max(math.ceil(room), 0)",
        "below = max(math.floor(room), 0)",
        "open end of the support of windows per bin",
        "engine/test_bins.py",
    ),
    Mutation(
        "kernels/cpu/bins.py",
        "odd[i] -= w[i] * (t * sin[i])",
        "odd[i] += w[i] * (t * sin[i])",
        "sign of the sine in the adjoint of folded frames",
        "engine/test_bin_gradients.py engine/test_bin_inverse.py",
    ),
    Mutation(
        "kernels/plain/frames.py",
        "out[b, (offset[b] + i) % out.shape[1]] = x[part]",
        "out[b, (offset[b] + i + 1) % out.shape[1]] = x[part]",
        "offset in the FFT input of the NumPy backend",
        "engine/test_forward.py",
    ),
    Mutation(
        "kernels/plain/spectra.py",
        "k[(mfft + 1) // 2 :] -= mfft",
        "k[mfft // 2 :] -= mfft",
        "first negative bin of odd FFTs in the NumPy backend",
        "engine/test_forward.py",
    ),
    Mutation(
        "kernels/window_scale.py",
        "return scale, scale * change / (total * theta)",
        "return scale, scale * change / total",
        "derivative of a window's scale",
        "kernels/test_kernels.py engine/test_vjp.py",
    ),
    Mutation(
        "kernels/window_scale.py",
        "np.sqrt(T / total)",
        "np.sqrt(1 / total)",
        "sampling interval in the scale 'psd'",
        "engine/test_forward.py",
    ),
    Mutation(
        "engine/frames.py",
        "start = np.ceil(centre - win_length / 2).astype(np.int64)",
        "start = np.floor(centre - win_length / 2).astype(np.int64) + 1",
        "left end of the half-open support",
        "engine/test_forward.py",
    ),
    Mutation(
        "engine/frames.py",
        "offset = (start - anchor - phase_shift) % mfft",
        "offset = (start - anchor + phase_shift) % mfft",
        "sign of the phase shift",
        "engine/test_forward.py",
    ),
    Mutation(
        "engine/frames.py",
        "out[1:] += edge\n    out[:-1] += edge",
        "out[1:] += edge\n    out[:-1] -= edge",
        "sign in the adjoint of durations",
        "engine tuning/test_variables.py tuning/test_evenness.py",
    ),
    Mutation(
        "engine/window_samples.py",
        "else shape[:, 1] / sums[2])",
        "else 2 * shape[:, 1] / sums[2])",
        "derivative of the scale in the window's shape",
        "engine/test_vjp.py",
    ),
    Mutation(
        "engine/vjp.py",
        "self.centre + self.phase",
        "self.centre",
        "phase term in the derivative with respect to positions",
        "engine/test_vjp.py",
    ),
    Mutation(
        "engine/vjp.py",
        "plan.kernels.rotate(g, block.delta, plan.mfft, plan.onesided, -1.0)",
        "plan.kernels.rotate(g, block.delta, plan.mfft, plan.onesided, 1.0)",
        "conjugate of the rotation in the adjoint",
        "engine/test_vjp.py",
    ),
    Mutation(
        "engine/vjp.py",
        "return theta, -c_over_theta * a2, shape",
        "return theta, c_over_theta * a2, shape",
        "sign of the derivative in the centre",
        "engine/test_vjp.py",
    ),
    Mutation(
        "engine/inverse.py",
        "reducer.add(y - 2 * windowed_frames(",
        "reducer.add(y - windowed_frames(",
        "factor 2 in the derivative of the inverse with respect to windows",
        "engine/test_inverse_gradients.py",
    ),
    Mutation(
        "engine/inverse.py",
        "values / np.where(own > 0, own, 1.0)",
        "values / np.where(own > 0, own, 1.0) ** 0.5",
        "dual windows are divided by the root of the overlap",
        "engine/test_inverse.py transforms/test_scipy_compatible.py",
    ),
    Mutation(
        "engine/jvp.py",
        "d_stored = -rotation * stored",
        "d_stored = rotation * stored",
        "sign of the phase in the directional derivative of the inverse",
        "engine/test_jvp.py",
    ),
    Mutation(
        "engine/padding.py",
        "out[..., 0] -= (y * turns).sum(axis=-1)",
        "out[..., 0] += (y * turns).sum(axis=-1)",
        "sign in the adjoint of odd padding",
        "engine/test_vjp.py transforms/test_properties.py",
    ),
    Mutation(
        "engine/padding.py",
        "return np.where(back, period - rest, rest)",
        "return np.where(back, period - rest - 1, rest)",
        "reflected sample of even and odd padding",
        "transforms/test_parity_scipy.py engine/test_forward.py",
    ),
    Mutation(
        "engine/bin_inverse.py",
        "multiplicity[plan.interior] = 2.0",
        "multiplicity[plan.interior] = 1.0",
        "weight of the bins that stand for two, in the inverse",
        "engine/test_bin_inverse.py",
    ),
    Mutation(
        "criteria/measures.py",
        "gradients = np.array([1 / z + z_log / z**2, -self.power / 2 / z])",
        "gradients = np.array([1 / z - z_log / z**2, -self.power / 2 / z])",
        "gradient of the Shannon entropy",
        "engine/test_vjp.py",
    ),
    Mutation(
        "criteria/measures.py",
        "value = (np.log(b) - self.alpha * np.log(z)) / order",
        "value = (np.log(b) - np.log(z)) / order",
        "normalisation of the Renyi entropy",
        "criteria/test_criteria.py",
    ),
    Mutation(
        "criteria/measures.py",
        "np.log(a) - self.k / 2 * np.log(z), np.array([-self.k / 2 / z, 1 / a])",
        "np.log(a) - self.k / 2 * np.log(z), np.array([-self.k / z, 1 / a])",
        "gradient of the ratio of norms",
        "engine/test_vjp.py",
    ),
    Mutation(
        "criteria/measures.py",
        "(1 - ratio) / span**2 / (2 * root)",
        "(1 - ratio) / span**2 / root",
        "derivative of Hoyer's sparsity in the number of bins",
        "criteria/test_criteria.py engine/test_vjp.py",
    ),
    Mutation(
        "criteria/gini.py",
        "above = total - np.cumsum(ws)",
        "above = total - np.cumsum(ws) + ws",
        "weight above a value in the Gini index",
        "criteria/test_criteria.py",
    ),
    Mutation(
        "criteria/neighbourhoods.py",
        "gradient = -np.pi / self.width * np.sin(2 * np.pi * distance)",
        "gradient = np.pi / self.width * np.sin(2 * np.pi * distance)",
        "sign of the derivative of a neighbourhood's weights",
        "engine/test_vjp.py",
    ),
    Mutation(
        "criteria/neighbourhoods.py",
        "step = width / _PER_WIDTH\n        steps",
        "step = width / (_PER_WIDTH - 1)\n        steps",
        "spacing of neighbourhoods",
        "criteria/test_criteria.py engine/test_vjp.py",
    ),
    Mutation(
        "criteria/scopes.py",
        "d_weights[counted] = (values - value) / weight.sum()",
        "d_weights[counted] = values / weight.sum()",
        "derivative of a weighted mean in its weights",
        "criteria/test_frame_weights.py",
    ),
    Mutation(
        "criteria/scopes.py",
        "d_positions = np.sum(moved * self.extended * view.weights, axis=0)",
        "d_positions = np.sum(moved * self.extended, axis=0)",
        "weights of frames in the derivative of local scopes",
        "criteria/test_frame_weights.py engine/test_vjp.py",
    ),
    Mutation(
        "tuning/penalties/coverage.py",
        "d_first[order[opens]] = -1.0 * (",
        "d_first[order[opens]] = 1.0 * (",
        "sign of the coverage in window starts",
        "tuning/test_guarantees.py",
    ),
    Mutation(
        "tuning/penalties/evenness.py",
        "d_positions += durations_adjoint(positions, self.n, d_spans)",
        "d_positions = d_positions",
        "durations in the gradient of the evenness penalty",
        "tuning/test_evenness.py",
    ),
    Mutation(
        "tuning/penalties/frame_ratio.py",
        "return float(np.log(overlap.max()) - np.log(overlap.min()))",
        "return float(np.log(overlap.max()) - 2 * np.log(overlap.min()))",
        "ratio of the frame bounds",
        "tuning/test_guarantees.py",
    ),
    Mutation(
        "tuning/penalties/weights.py",
        'smoothness = unit * _SMOOTHNESS if window_mode == "time" else 0.0',
        "smoothness = 0.0",
        "default smoothness dropped",
        "tuning/test_evenness.py::test_default_weights",
    ),
    Mutation(
        "tuning/penalties/weights.py",
        "evenness = unit * _EVENNESS if descended else 0.0",
        "evenness = 0.0",
        "default evenness dropped",
        "tuning/test_evenness.py::test_default_weights",
    ),
    Mutation(
        "tuning/variables/positions.py",
        "d_z = np.array([hop * inside * (np.arange(state.positions.size) @ d_positions)])",
        "d_z = np.array([inside * (np.arange(state.positions.size) @ d_positions)])",
        "adjoint of the hop that is tied to the window length",
        "tuning/test_variables.py tuning/test_optimize.py",
    ),
    Mutation(
        "tuning/variables/positions.py",
        "return np.asarray(np.cumsum(d_positions[:0:-1])[::-1])",
        "return np.asarray(np.cumsum(d_positions[:0:-1]))",
        "order in the adjoint of positions after hops",
        "tuning/test_variables.py tuning/test_optimize.py",
    ),
    Mutation(
        "tuning/variables/lengths.py",
        "return [(low * factor, high * factor) for factor in factors]",
        "return [(low, high) for factor in factors]",
        "bounds of scaled log lengths",
        "tuning/test_variables.py tuning/test_optimize.py",
    ),
    Mutation(
        "tuning/variables/control_grid.py",
        "inner = np.linspace(low, high, count - degree + 1)",
        "inner = np.linspace(low, high, count - degree)",
        "number of knots of the control grid",
        "tuning/test_optimize_bins.py",
    ),
    Mutation(
        "tuning/tables/survey.py",
        "shift = 0.5 * (left - right) / curvature",
        "shift = 0.5 * (right - left) / curvature",
        "vertex of the parabola through a minimum of the survey",
        "tuning/test_tuning_traps.py::test_minima_come_best_first",
    ),
    Mutation(
        "tuning/tables/survey.py",
        "sums = np.add.reduceat(np.where(loud, values, 0.0) * energy[:, None], starts, axis=0)",
        "sums = np.add.reduceat(np.where(loud, values, 0.0), starts, axis=0)",
        "weights of the places that a surface averages",
        "tuning/test_surfaces.py",
    ),
    Mutation(
        "tuning/tables/frame_surface.py",
        "frame_terms(alone, flat * view.cell,",
        "frame_terms(alone, flat,",
        "values of frames that are comparable between framings",
        "tuning/test_surfaces.py",
    ),
    Mutation(
        "common/progress.py",
        "self._work[stage] / left * (1.0 - self._last)",
        "self._work[stage] / left",
        "share of a stage in what is left of the bar",
        "common/test_progress.py",
    ),
    Mutation(
        "tuning/result/diagnosis.py",
        "return at.comparable_value(scaled) - value",
        "return value - at.comparable_value(scaled)",
        "sign of the rise that the sensitivity measures",
        "tuning/test_optimize.py",
    ),
    Mutation(
        "tuning/shared/partial_sums.py",
        "return PartialSums(*(getattr(self, name) * weight for name in self.__dataclass_fields__))",
        "return PartialSums(*(getattr(self, name) for name in self.__dataclass_fields__))",
        "weights of a corpus",
        "tuning/test_corpora.py",
    ),
    Mutation(
        "tuning/result/archive.py",
        '"scale_to": sft.scaling,',
        '"scale_to": None,',
        "scaling of a saved transform",
        "tuning/test_saved_results.py",
    ),
    Mutation(
        "common/detrend.py",
        "(x - mean).astype",
        "(x - 0 * mean).astype",
        "mean of the signal is kept",
        "tuning/test_optimize.py",
    ),
    Mutation(
        "common/threads.py",
        "self.turn.wait_for(lambda: self.merged == block or self.error is not None)",
        "self.turn.wait_for(lambda: True)",
        "order in which blocks are merged",
        "test_concurrency.py",
    ),
    Mutation(
        "common/threads.py",
        "_pool, _pool_lock = None, threading.Lock()\n",
        "_pool_lock = threading.Lock()\n",
        "thread pool of the parent in a forked child",
        "test_concurrency.py",
    ),
    Mutation(
        "common/best_path.py",
        "best[part] = through[np.arange(len(through)), choice[part]]",
        "best[part] = through[np.arange(len(through)), 0]",
        "cost of the chosen move",
        "common/test_best_path.py",
    ),
    Mutation(
        "engine/slices.py",
        "return first + 1 if on_edge and float(self.window(-0.5)) == 0 else first",
        "return first",
        "slices whose window is zero at its first sample",
        "transforms/test_parity_scipy.py transforms/test_scipy_compatible.py",
    ),
    Mutation(
        "transforms/streaming/analysis.py",
        "min(max(before, self.first), self.stop)",
        "min(max(before + 1, self.first), self.stop)",
        "samples that a stream forgets",
        "transforms/test_streaming.py",
    ),
    Mutation(
        "transforms/streaming/synthesis.py",
        "self._first += count\n        return piece",
        "self._first += count - 1\n        return piece",
        "first sample of the running sums of a streamed inverse",
        "transforms/test_streaming.py",
    ),
    Mutation(
        "denoising/shrinkage.py",
        "return Gain(rest**2, -4 * squared * rest,",
        "return Gain(rest**2, 4 * squared * rest,",
        "sign of the slope of the smooth gain",
        "denoising",
    ),
    Mutation(
        "tracking/moments.py",
        "framed.centre_time + framed.win_duration * ratio.real",
        "framed.centre_time - framed.win_duration * ratio.real",
        "sign of the group delay in reassignment",
        "tracking/test_reassignment.py",
    ),
    Mutation(
        "tracking/moments.py",
        "framed.f - ratio.imag / (2 * np.pi * framed.win_duration)",
        "framed.f + ratio.imag / (2 * np.pi * framed.win_duration)",
        "sign of the instantaneous frequency",
        "tracking",
    ),
    Mutation(
        "tracking/ridge_grid.py",
        "(1 - fraction) * values[:, q] + fraction * values[:, above]",
        "fraction * values[:, q] + (1 - fraction) * values[:, above]",
        "interpolation of the score between bins",
        "tracking/test_tracking.py",
    ),
    Mutation(
        "autograd.py",
        "gradient = transform_vjp(np.conj(g), wrt=wrt)",
        "gradient = transform_vjp(g, wrt=wrt)",
        "conjugate of autograd's cotangents",
        "adapters/test_autograd.py",
    ),
    Mutation(
        "recordings/recording.py",
        "return samples.T if samples.ndim == 2 and samples.shape[0] > samples.shape[1] else samples",
        "return samples",
        "axis of time in arrays from files",
        "recordings/test_reading.py",
    ),
    Mutation(
        "batch/rows.py",
        "fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "pass",
        "lock of the file of rows",
        "batch/test_rows.py batch/test_changed_files.py batch/test_many.py",
    ),
    Mutation(
        "batch/rows.py",
        "writerow(row.get(name) for name in COLUMNS)",
        "writerow(row.get(name) for name in sorted(COLUMNS))",
        "order of the columns of a file of rows",
        "batch/test_rows.py",
    ),
    Mutation(
        "windows/window.py",
        "    with _registry_lock:",
        "    if True:",
        "lock of the registry of windows",
        "windows/test_windows.py",
    ),
    Mutation(
        "adapters/dask_slices.py",
        "low = min(max(a - reach, 0), n - 1)",
        "low = min(a, n - 1)",
        "samples before a stretch that its first windows take",
        "adapters/test_dask.py",
    ),
    Mutation(
        "xarray.py",
        "dim: _time(dim, clock, transform.t(n))}",
        "dim: _time(dim, clock, transform.t(n) + transform.T)}",
        "time coordinate of a transform",
        "adapters/test_xarray.py",
    ),
    Mutation(
        "adapters/settings.py",
        "return 2 * (S.real * dS.real + S.imag * dS.imag)",
        "return S.real * dS.real + S.imag * dS.imag",
        "directional derivative of the power",
        "adapters/test_autograd.py",
    ),
    Mutation(
        "kernels/cpu/paths.py",
        "if places[b, i] > place + reach[b]:",
        "if places[b, i] >= place + reach[b]:",
        "a move of the dynamic programme that is one step too short",
        "tuning/test_length_path.py",
    ),
    Mutation(
        "kernels/cpu/paths.py",
        "through = total[i] + weight[b] * abs(change)",
        "through = total[i] + weight[b] * change",
        "sign of the penalty at the ends",
        "tuning/test_length_path.py",
    ),
    Mutation(
        "tuning/tables/frame_sums.py",
        "found[k] *= found[self.references[k]]",
        "found[k] *= found[0]",
        "statistic that a sum with a logarithm is relative to",
        "tuning/test_length_path.py",
    ),
    Mutation(
        "tuning/tables/frame_sums.py",
        "slopes[..., 2:-2] = (8 *",
        "slopes[..., 2:-2] = (7 *",
        "slopes of the cubics between the lengths of the table",
        "tuning/test_length_path.py",
    ),
    Mutation(
        "engine/statistics.py",
        "(values - edges.sum(axis=0)) * (mfft / plan.mfft) + kept",
        "(values - edges.sum(axis=0)) * (mfft / plan.mfft)",
        "bins at zero and Nyquist in sums for a longer FFT",
        "tuning/test_length_path.py engine/test_statistics.py",
    ),
    Mutation(
        "tuning/stages/frame_path.py",
        "np.full(changes, np.inf) if free else 2 * np.diff(positions)",
        "np.full(changes, np.inf) if free else 4 * np.diff(positions)",
        "edges of windows that must not move backwards",
        "tuning/test_evenness.py tuning/test_length_path.py",
    ),
    Mutation(
        "tuning/shared/frame_jobs.py",
        "mfft=self.plan.mfft).moved(-stretch.first)",
        "mfft=self.plan.mfft).moved(-int(stretch.start))",
        "first sample of a stretch for frames with lengths of their own",
        "adapters/test_dask.py",
    ),
    Mutation(
        "tuning/shared/frame_jobs.py",
        "return SumLogs.of(self.plan, x, self.stats, self.lengths, self.positions, stretch.first)",
        "return SumLogs.of(self.plan, x, self.stats, self.lengths, self.positions, int(stretch.start))",
        "first sample of a stretch in the table of sums",
        "adapters/test_dask.py",
    ),
    Mutation(
        "tuning/shared/frame_jobs.py",
        "own = slice(int(stretch.start) - stretch.first,",
        "own = slice(0,",
        "samples next to a stretch, whose energy counts twice",
        "adapters/test_dask.py",
    ),
    Mutation(
        "tuning/shared/frame_jobs.py",
        "total[-1] += member.multiply(member) @ view.weights**2",
        "total[-1] += member.multiply(member) @ view.weights",
        "squares of the weights of frames in neighbourhoods",
        "adapters/test_dask.py",
    ),
    Mutation(
        "tuning/shared/dask_signals.py",
        "edges = np.searchsorted(positions, [a for a, _ in self.stretches[1:]])",
        "edges = np.searchsorted(positions, [b for _, b in self.stretches[1:]])",
        "stretch that a frame belongs to",
        "adapters/test_dask.py",
    ),
]
