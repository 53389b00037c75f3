"""Tables as laboratories write them: each kind with its right channels and rate, or the line that refuses it."""

import numpy as np
import pytest
from sample_files import rows

from adaptstft import recordings

K = np.arange(200)
X = np.round(np.sin(0.3 * K) + 0.3 * np.cos(1.1 * K), 6)
Y = np.round(5 * np.cos(0.2 * K) - 1, 6)


def comma(text):
    return text.replace(".", ",")


def iso(seconds, *, blank="T", zone="", start="2024-03-01T23:59:59.500"):
    times = np.datetime64(start, "us") + np.round(np.asarray(seconds) * 1e6).astype("timedelta64[us]")
    return [str(t).replace("T", blank) + zone for t in times]


def of_day(seconds, start=0.0):
    return [f"{int(s // 3600):02d}:{int(s % 3600 // 60):02d}:{s % 60:06.3f}" for s in start + np.asarray(seconds)]


def dates(form):
    """Dates with times of day, 250 ms apart, over the end of 2 March."""
    found = []
    for k in K:
        t = np.datetime64("2024-03-02T23:59:50.000", "ms") + int(250 * k)
        year, month, day = str(t)[:10].split("-")
        found.append(form.format(y=year, m=month, d=day, t=str(t)[11:]))
    return found


T = K / 250
#: name: (content, ending, fs that is given, rate, channels)
RIGHT = {
    # clocks by name
    "plain": ("time,x\n" + rows(T, X), "csv", None, 250, [X]),
    "two channels": ("time,x,y\n" + rows(T, X, Y), "csv", None, 250, [X, Y]),
    "clock last": ("x,y,Time\n" + rows(X, Y, T), "csv", None, 250, [X, Y]),
    "unit in round brackets": ("Time (ms),x\n" + rows(4 * K, X), "csv", None, 250, [X]),
    "unit in square brackets": ("t [us];x\n" + rows(4000 * K, X, sep=";"), "csv", None, 250, [X]),
    "unit in braces": ("t {ms};x\n" + rows(4 * K, X, sep=";"), "csv", None, 250, [X]),
    "unit in angle brackets": ("t <ms>,x\n" + rows(4 * K, X), "csv", None, 250, [X]),
    "unit after a slash": ("Time/s,x\n" + rows(T, X), "csv", None, 250, [X]),
    "unit after an underscore": ("timestamp_ns,x\n" + rows(4_000_000 * K, X), "csv", None, 250, [X]),
    "unit in camel case": ("timestampMs,x\n" + rows(4 * K, X), "csv", None, 250, [X]),
    "unit after in": ("time in ms,x\n" + rows(4 * K, X), "csv", None, 250, [X]),
    "unit alone": ("milliseconds,x\n" + rows(4 * K, X), "csv", None, 250, [X]),
    "minutes": ("time (min),x\n" + rows(K * 0.5, X), "csv", None, 1 / 30, [X]),
    "hours": ("time [h],x\n" + rows(K * 2, X), "csv", None, 1 / 7200, [X]),
    "micro sign": ("Zeit (µs);Spannung (mV)\n" + rows(4000 * K, X, sep=";"), "csv", None, 250, [X]),
    "micro sign in Latin-1": (
        ("Zeit (µs);Spannung\n" + rows(4000 * K, X, sep=";")).encode("latin-1"),
        "csv",
        None,
        250,
        [X],
    ),
    "whole seconds with a unit": ("time (s),x\n" + rows(K, X), "csv", None, 1, [X]),
    "sample numbers with a rate given": ("time (samples),x\n" + rows(K, X), "csv", 50.0, 50, [X]),
    # clocks by content
    "no names": (rows(T, X), "csv", None, 250, [X]),
    "an unknown name": ("stamp,x\n" + rows(T, X), "csv", None, 250, [X]),
    "an unknown name, and a rate given": ("sample,x\n" + rows(T, X), "csv", 250.0, 250, [X]),
    "an unknown name in the middle": ("x,stamp,y\n" + rows(X, T, Y), "csv", None, 250, [X, Y]),
    "pandas writes its index": (",time,x\n" + rows(K, T, X), "csv", None, 250, [X]),
    "an index without other times": (",x\n" + rows(K, X), "csv", 250.0, 250, [X]),
    "an index from 1": ("No.;x\n" + rows(K + 1, X, sep=";"), "csv", 250.0, 250, [X]),
    "an index from 1000, no name": (rows(K + 1000, X, Y), "csv", 250.0, 250, [X, Y]),
    "sample number and time": ("Sample,Time (s),x\n" + rows(K, T, X), "csv", None, 250, [X]),
    "two clocks in two units": ("time_s,time_ms,x\n" + rows(T, 4 * K, X), "csv", None, 250, [X]),
    "time and epoch": ("t,epoch,x\n" + rows(T, 1.7e9 + T, X, fmt="%.14g"), "csv", None, 250, [X]),
    "a ramp is a channel beside a named clock": ("t,x\n" + rows(T, 3 * T), "csv", None, 250, [3 * T]),
    "one column of a ramp": (rows(3 * T), "csv", 250.0, 250, [3 * T]),
    # rounded clocks
    "512 Hz in ms": ("time,x\n" + rows([f"{v:.3f}" for v in K / 512], X), "csv", None, 512, [X]),
    "300 Hz cut off at ms": (
        "t,x\n" + rows([f"{v:.3f}" for v in np.floor(K / 0.3 + 1e-9) / 1e3], X),
        "csv",
        None,
        300,
        [X],
    ),
    "six significant digits": ("t,x\n" + rows([f"{v:.6g}" for v in 10 + K / 2048], X), "csv", None, 2048, [X]),
    # epochs and dates
    "epoch in s": ("time,x\n" + rows([f"{1588967908 + v:.3f}" for v in T], X), "csv", None, 250, [X]),
    "epoch in ms": ("time,x\n" + rows([f"{1588967908123 + 4 * k}" for k in K], X), "csv", None, 250, [X]),
    "epoch in us": ("time,x\n" + rows([f"{1588967908123456 + 4000 * k}" for k in K], X), "csv", None, 250, [X]),
    "epoch in ns, no name": (rows([f"{1588967908123456789 + 4_000_000 * k}" for k in K], X), "csv", None, 250, [X]),
    "ISO": ("date,x\n" + rows(iso(T), X), "csv", None, 250, [X]),
    "ISO with a zone": ("when,x\n" + rows(iso(T, zone="+02:00"), X), "csv", None, 250, [X]),
    "ISO with Z, no names": (rows(iso(T, zone="Z"), X), "csv", None, 250, [X]),
    "ISO with a blank": ("date,x\n" + rows(iso(T, blank=" "), X), "csv", None, 250, [X]),
    "ISO between tabs": ("date\tx\n" + rows(iso(T, blank=" "), X, sep="\t"), "txt", None, 250, [X]),
    "ISO between blanks": (rows(iso(T, blank=" "), X, sep=" "), "txt", None, 250, [X]),
    "ISO with a decimal comma": ("d;x\n" + comma(rows(iso(T), X, sep=";")), "csv", None, 250, [X]),
    "time of day over midnight": (
        "Time;x\n" + rows([s.replace("24:", "00:") for s in of_day(T, 86399.5)], X, sep=";"),
        "csv",
        None,
        250,
        [X],
    ),
    "date and time of day": (
        "Date,Time,x\n" + rows(*zip(*(s.split("T") for s in iso(T)), strict=True), X),
        "csv",
        None,
        250,
        [X],
    ),
    "German dates": ("Datum;x\n" + rows(dates("{d}.{m}.{y} {t}"), X, sep=";"), "csv", None, 4, [X]),
    "British dates": ("date,x\n" + rows(dates("{d}/{m}/{y} {t}"), X), "csv", None, 4, [X]),
    "American dates": ("date,x\n" + rows(dates("{m}/{d}/{y} {t}"), X), "csv", None, 4, [X]),
    "dates with slashes, year first": ("date,x\n" + rows(dates("{y}/{m}/{d} {t}"), X), "csv", None, 4, [X]),
    "minutes and seconds": (
        "Time,x\n" + rows([f"{int(s // 60):02d}:{s % 60:04.1f}" for s in K * 0.5], X),
        "csv",
        None,
        2,
        [X],
    ),
    # separators and decimal signs
    "semicolons": ("t;x\n" + rows(T, X, sep=";"), "csv", None, 250, [X]),
    "tabs": ("t\tx\n" + rows(T, X, sep="\t"), "tsv", None, 250, [X]),
    "blanks": ("t x\n" + rows(T, X, sep="   "), "txt", None, 250, [X]),
    "aligned columns": ("   Time (s)     Force (N)\n" + rows(T, X, sep="  ", fmt="%12.6f"), "txt", None, 250, [X]),
    "bars": ("t|x\n" + rows(T, X, sep="|"), "txt", None, 250, [X]),
    "blank after the comma": ("t, x\n" + rows(T, X, sep=", "), "csv", None, 250, [X]),
    "sep= of Excel": ("sep=;\nt;x\n" + rows(T, X, sep=";"), "csv", None, 250, [X]),
    "sep= and decimal commas": ("sep=;\n" + comma(rows(T, X, sep=";")), "csv", None, 250, [X]),
    "decimal commas": ("t;x\n" + comma(rows(T, X, sep=";")), "csv", None, 250, [X]),
    "decimal commas between blanks": (comma(rows(T, X, sep=" ")), "txt", None, 250, [X]),
    "decimal commas in one column": (
        "\n".join(comma(f"{v:.3f}") for v in X),
        "csv",
        250.0,
        250,
        [[float(f"{v:.3f}") for v in X]],
    ),
    "decimal commas in one named column": ("x\n" + "\n".join(comma(f"{v:.6f}") for v in X + 7), "csv", 9.0, 9, [X + 7]),
    "decimal commas in quotes": (
        "t,x\n" + "".join(f'"{comma(f"{t:.3f}")}","{comma(f"{x:.6f}")}"\n' for t, x in zip(T, X, strict=True)),
        "csv",
        None,
        250,
        [X],
    ),
    "quotes around everything": (
        '"t","x"\n' + "".join(f'"{t:.3f}","{x:.6f}"\n' for t, x in zip(T, X, strict=True)),
        "csv",
        None,
        250,
        [X],
    ),
    "thousands with points": (
        "x;y\n"
        + rows(
            [f"{v:,.2f}".replace(",", "_").replace(".", ",").replace("_", ".") for v in 1e7 * X],
            [comma(repr(v)) for v in Y.tolist()],
            sep=";",
        ),
        "csv",
        250.0,
        250,
        [np.round(1e7 * X, 2), Y],
    ),
    "thousands with commas and points": (
        "x;y\n" + rows([f"{v:,.2f}" for v in 1e4 * X], Y, sep=";"),
        "csv",
        250.0,
        250,
        [np.round(1e4 * X, 2), Y],
    ),
    "thousands in quotes": (
        "x,y\n" + "".join(f'"{1e4 * a:,.2f}",{b!r}\n' for a, b in zip(X, Y.tolist(), strict=True)),
        "csv",
        250.0,
        250,
        [np.round(1e4 * X, 2), Y],
    ),
    "two commas between thousands": (
        "x;y\n" + rows([f"{v:,d}" for v in 1_000_000 + 1000 * (K**2 % 70)], K**2 % 7, sep=";"),
        "csv",
        250.0,
        250,
        [1_000_000 + 1000 * (K**2 % 70), K**2 % 7],
    ),
    "apostrophes between thousands": (
        "x;y\n" + rows([f"{v:,.2f}".replace(",", "'") for v in 1e4 * X], Y, sep=";"),
        "csv",
        250.0,
        250,
        [np.round(1e4 * X, 2), Y],
    ),
    "no-break blanks between thousands": (
        "x;y\n"
        + rows(
            [f"{v:,.2f}".replace(",", "\xa0").replace(".", ",") for v in 1e4 * X],
            [comma(repr(v)) for v in Y.tolist()],
            sep=";",
        ),
        "csv",
        250.0,
        250,
        [np.round(1e4 * X, 2), Y],
    ),
    "D exponents": ("t,x\n" + rows(T, [f"{v:.9E}".replace("E", "D") for v in X]), "csv", None, 250, [X]),
    "E exponents": ("t x\n" + rows(T, X, sep=" ", fmt="%.9E"), "dat", None, 250, [X]),
    "the minus sign of Unicode": ("t,x\n" + rows(T, X).replace("-", "\N{MINUS SIGN}"), "csv", None, 250, [X]),
    "plus signs": ("t,x\n" + rows(T, X, fmt="%+.6f"), "csv", None, 250, [X]),
    "a separator at the end": (
        "t;x;\n" + "".join(f"{t:.3f};{x:.6f};\n" for t, x in zip(T, X, strict=True)),
        "csv",
        None,
        250,
        [X],
    ),
    "a separator at the end of rows only": (
        "t,x\n" + "".join(f"{t:.3f},{x:.6f},\n" for t, x in zip(T, X, strict=True)),
        "csv",
        None,
        250,
        [X],
    ),
    "an empty column": (
        "t,,x\n" + "".join(f"{t:.3f},,{x:.6f}\n" for t, x in zip(T, X, strict=True)),
        "csv",
        None,
        250,
        [X],
    ),
    # encodings and ends of lines
    "UTF-8 with a mark": (("t,x\n" + rows(T, X)).encode("utf-8-sig"), "csv", None, 250, [X]),
    "UTF-16 of Excel": (("t\tx\n" + rows(T, X, sep="\t")).encode("utf-16"), "txt", None, 250, [X]),
    "UTF-16 without a mark": (("t\tx\n" + rows(T, X, sep="\t")).encode("utf-16-le"), "txt", None, 250, [X]),
    "UTF-16, high byte first": (("t\tx\n" + rows(T, X, sep="\t")).encode("utf-16-be"), "txt", None, 250, [X]),
    "ends of lines of Windows": (("t,x\n" + rows(T, X)).replace("\n", "\r\n").encode(), "csv", None, 250, [X]),
    "ends of lines of the first Macs": (("t,x\n" + rows(T, X)).replace("\n", "\r").encode(), "csv", None, 250, [X]),
    # what stands above
    "a row of units": ("Time,Channel A\n(ms),(V)\n\n" + rows(4 * K, X), "csv", None, 250, [X]),
    "a row of units without brackets": ("Time\tForce\nms\tkN\n" + rows(4 * K, X, sep="\t"), "txt", None, 250, [X]),
    "metadata": (
        'Instrument,ACME 12\nOperator,"N. N."\nGain,10\nDate,2024-03-01\n\ntime (ms),x,y\n' + rows(4 * K, X, Y),
        "csv",
        None,
        250,
        [X, Y],
    ),
    "comments": ("# made\n% by\n// hand\nt,x\n" + rows(T, X), "csv", None, 250, [X]),
    "comments between the rows": ("t,x\n" + rows(T, X).replace("\n0.4,", "\n# event\n0.4,"), "csv", None, 250, [X]),
    "names in a comment": ("# x y time_ms\n" + rows(X, Y, 4 * K, sep=" "), "txt", None, 250, [X, Y]),
    "a title between blanks": ("Pressure in the inlet\n" + rows(T, X, sep=" "), "txt", None, 250, [X]),
    "an oscilloscope": (
        "LECROYWS432,12345,Waveform\nSegments,1,SegmentSize,200\nSegment,TrigTime,TimeSinceSegment1\n"
        "#1,12-Mar-2024 10:11:12,0\nTime,Ampl\n" + rows(T - 0.4, X),
        "csv",
        None,
        250,
        [X],
    ),
    "settings beside the first rows": (
        "".join(
            f"{a},{b},,{t:.3f},{x:.6f},\n"
            for a, b, t, x in zip(
                ["Record Length", "Sample Interval", "Source"] + 197 * [""],
                ["200", "0.004", "CH1"] + 197 * [""],
                T,
                X,
                strict=True,
            )
        ),
        "csv",
        None,
        250,
        [X],
    ),
    "axis and unit rows": ("x-axis,1\nsecond,Volt\n" + rows(T, X), "csv", None, 250, [X]),
    "LabVIEW": (
        "LabVIEW Measurement\t\nSeparator\tTab\n***End_of_Header***\t\n\nX_Value\tVoltage\tComment\n"
        + "".join(f"{t:.6f}\t{x:.6f}\t\n" for t, x in zip(T, X, strict=True)),
        "lvm",
        None,
        250,
        [X],
    ),
    "the rate in a line above": ("Sampling rate: 250 Hz\nx;y\n" + rows(X, Y, sep=";"), "csv", None, 250, [X, Y]),
    "the rate in kHz above": ("# fs = 2.5 kHz\n" + rows(X, sep=";"), "txt", None, 2500, [X]),
    "the rate in kHz, in brackets behind its name": ("Sampling rate (kHz);2.5\n" + rows(X), "txt", None, 2500, [X]),
    "the rate in MHz": ("Sampling rate = 2 MHz\n" + rows(X), "txt", None, 2e6, [X]),
    "the rate in mHz": ("Sampling rate = 20 mHz\n" + rows(X), "txt", None, 0.02, [X]),
    "the rate in samples": ('"Sample Rate (samples/s)","1.25e3"\n' + rows(X), "csv", None, 1250, [X]),
    "the rate in thousands of samples": ("# fs: 48 kS/s\n" + rows(X), "csv", None, 48_000, [X]),
    "the rate with a decimal comma": (
        "Sampling rate: 12,5 kHz\nx;y\n" + rows(X, Y, sep=";"),
        "csv",
        None,
        12_500,
        [X, Y],
    ),
    "the rate with commas between thousands": ("Sample rate: 1,234,567 Hz\n" + rows(X), "csv", None, 1_234_567, [X]),
    "the rate with blanks between thousands": ("Sample rate: 44 100 Hz\n" + rows(X), "csv", None, 44_100, [X]),
    "the rate with points between thousands": ("Rate\nfs = 44.100,5 Hz\n" + rows(X), "csv", None, 44_100.5, [X]),
    "the rate among other numbers": ("Sample rate: 16 bit, 8000 Hz\n" + rows(X), "csv", None, 8000, [X]),
    "the rate of a numbered channel": ("Sampling rate of channel 1: 250\n" + rows(X), "csv", None, 250, [X]),
    "the rate before another setting": ("fs=250, gain=10\n" + rows(X), "csv", None, 250, [X]),
    "the rate in the next column but one": ("Sampling rate,,250,\n" + rows(X), "csv", None, 250, [X]),
    "the rate and its unit in columns": (
        "Sampling rate;2,5;kHz\n" + comma(rows(X, Y, sep=";")),
        "csv",
        None,
        2500,
        [X, Y],
    ),
    "the rate before a time of day": ("Sampling rate 250.0 Hz 10:11:12\n" + rows(X), "csv", None, 250, [X]),
    "the rate among quoted names": ('{"fs": 250, "gain": 3}\n' + rows(X), "csv", None, 250, [X]),
    "femtoseconds are no sampling rate": ("pulse of 30 fs, 5 ps apart\n" + rows(X), "txt", 9.0, 9, [X]),
    "a first row that numbers the columns, and is the first time": (
        rows([f"{v:.6g}" for v in K / 300], X - X[0] + 1),
        "csv",
        None,
        300,
        [X - X[0] + 1],
    ),
    "numbers of two columns above fixed decimals": (
        "0,1\n" + rows(X, Y, fmt="%.6f"),
        "csv",
        9.0,
        9,
        [X, Y],
    ),
    "a header of numbers": ("1,2,3\n" + rows(X + 0.5, 2 * X, 3 * X), "csv", 9.0, 9, [X + 0.5, 2 * X, 3 * X]),
    "names of rows without a name": ("x\ty\n" + rows([f"r{k}" for k in K], X, Y, sep="\t"), "txt", 9.0, 9, [X, Y]),
    "a column of text": ("t,state,x\n" + rows(T, ["ok"] * 200, X), "csv", None, 250, [X]),
    "rows that are channels": (rows(*np.c_[X, Y].tolist()), "csv", 9.0, 9, [X, Y]),
    "rows of one channel": ("1 2 4\n", "txt", 1.0, 1, [[1, 2, 4]]),
}


@pytest.mark.parametrize("name", RIGHT)
def test_tables_that_are_read(tmp_path, name):
    content, ending, given, rate, channels = RIGHT[name]
    path = tmp_path / f"a.{ending}"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    recording = recordings.read(path, fs=given)
    assert recording.fs == pytest.approx(rate, rel=2e-5)
    if channels is not None:
        assert recording.x.shape == (len(channels), len(channels[0])), recording.x[:, :3]
        np.testing.assert_allclose(recording.x, channels, rtol=1e-6, atol=1e-6)


DRIFT = np.r_[0, np.cumsum(np.r_[np.full(2000, 1 / 94), np.full(1999, 1 / 106)])]
GAP = np.delete(np.arange(201), 77) / 250

#: name: (content, fs that is given, message)
REFUSED = {
    "a clock that drifts": (
        "time,x\n" + rows(DRIFT, np.cos(DRIFT)),
        None,
        r"line 2002: the column 'time' is not even: sample 2000 deviates by 60 samples .*--resample",
    ),
    "a clock with a missing row": (
        "time,x\n" + rows(GAP, X),
        None,
        r"line \d+: the column 'time' is not even: .* 0\.54\d samples",
    ),
    "a rounded clock with a missing row": (
        "time,x\n" + rows([f"{v:.3f}" for v in np.delete(np.arange(201), 77) / 512], X),
        None,
        "is not even",
    ),
    "a millisecond clock with a missing row": (
        "time (ms),x\n" + rows(np.delete(np.arange(201), 77), X),
        None,
        "is not even: sample 77 deviates by 0.54",
    ),
    "a clock that stops": ("t,x\n" + rows(np.maximum(T, 0.04), X), None, "has the same time twice|is not increasing"),
    "a clock that goes back": ("t,x\n0,1\n1.5,2\n1,3\n", None, "line 4: the column 't' is not increasing; give fs"),
    "a clock of one row": ("t,x\n0,1\n", None, "the column 't' has 1 time, at least two are needed"),
    "a clock that is too coarse": (
        "t,x\n" + rows([f"{v:.2f}" for v in K / 1000], X),
        None,
        "is too coarse: samples are 0.00.* s apart",
    ),
    "an unnamed clock that is not even": (
        "stamp,x\n" + rows(np.cumsum(1 + 0.3 * np.sin(K)), X),
        250.0,
        "the column 'stamp' increases in every row: it is a channel, or a clock that is not even",
    ),
    "two columns that may be the clock": (
        "a,b,x\n" + rows(T, 1.7 * T, X),
        None,
        "the column 'a' and the column 'b' both increase steadily",
    ),
    "two clocks that differ": (
        "t,time,x\n" + rows(T, 1.7 * T, X),
        None,
        "the column 't' gives 250 Hz, the column 'time' gives 147",
    ),
    "whole numbers without a unit": (
        "time,x\n" + rows(4 * K, X),
        None,
        "'time' holds the whole numbers 0, 4, 8, ... without a unit: the rate is 0.25 Hz if they are seconds, "
        "or 250 Hz if they are milliseconds",
    ),
    "a time that counts": (
        "time,x\n" + rows(K, X),
        None,
        "counts 0, 1, 2, ...: these are sample numbers, or seconds at 1 Hz",
    ),
    "sample numbers": (
        "time (samples),x\n" + rows(K, X),
        None,
        "the column 'time .samples.' counts samples and gives no",
    ),
    "an index alone": (",x\n" + rows(K, X), None, "does not say its sampling rate"),
    "a column of samples that does not count": (
        "sample,x\n" + rows(T, X),
        None,
        "is named as row numbers, but does not count",
    ),
    "dates as numbers": ("date,x\n" + rows(45000 + K / 1024, X), None, "holds dates as numbers of an unknown unit"),
    "a unit that is none": ("Time,x\n(div),(V)\n" + rows(T, X), None, "has the unit 'div', which is no unit of time"),
    "commas that may be decimal": (
        "1,5\n3,7\n2,4\n",
        1.0,
        "line 1: '1,5' is one number with a decimal comma, or a row of two columns",
    ),
    "commas that are both signs": (
        comma(rows([f"{v:.2f}" for v in T], [f"{v:.2f}" for v in X + 2])),
        1.0,
        "line 1 has 4 fields: 4 columns of whole numbers, or 2 columns with a decimal comma",
    ),
    "commas that are both signs, with names": (
        "t,x\n1,5,2,5\n2,5,3,5\n3,5,4,6\n",
        1.0,
        "or 2 columns with a decimal comma",
    ),
    "commas that may separate thousands": (
        "x;y\n1,234;5,678\n2,345;6,789\n",
        1.0,
        "line 2: '1,234' is 1.234 with a decimal comma, or 1234 with a comma between thousands",
    ),
    "commas of both kinds": ("x;y\n1,234;5.5\n0,5;6.25\n", 1.0, "the comma is the decimal sign in some numbers"),
    "whole numbers below whole numbers": (
        "0,1,2\n7,5,3\n1,2,3\n",
        1.0,
        "'0,1,2' numbers the columns, or it is a row of samples",
    ),
    "a missing field": (
        "x,y\n" + rows(X, Y).replace("\n", ",\n", 1).replace(",\n", "\n", 1) + "3,\n",
        1.0,
        "line 202, column 'y': the field is empty",
    ),
    "text among the numbers": ("x,y\n1,2\n3,oops\n", 1.0, "line 3, column 'y': 'oops' is not a number"),
    "text far below": ("x,y\n" + rows(X, Y) * 6 + "7,oops\n", 1.0, "line 1202, column 'y': 'oops' is not a number"),
    "a row that is too long": ("x,y\n" + rows(X, Y) + "1,2,3\n", 1.0, "line 202 has 3 fields, the rows above have 2"),
    "a row that is too short": ("1;2\n3\n", 1.0, "line 2 has 1 field, the rows above have 2"),
    "a second table": (
        "x,y\n" + rows(X, Y) + "\nChannel 2\n" + rows(X, Y),
        1.0,
        "line 203 has 1 field, the rows above have 2",
    ),
    "a footer": ("x,y\n" + rows(X, Y) + "END OF FILE\n", 1.0, "line 202 has 1 field"),
    "NaN": ("x,y\n1,2\n3,nan\n5,6\n", 1.0, "line 3 has the value nan; 1 of 6 values are NaN or infinite"),
    "infinity": ("x,y\n1,2\n\n3,-inf\n5,6\n", 1.0, "line 4 has the value -inf"),
    "a missing value": ("x,y\n1,2\n3,N/A\n5,6\n", 1.0, "line 3 has the value nan"),
    "a missing value behind a comment": ("x,y\n1,2\n# break\n3,NaN\n", 1.0, "line 4 has the value nan"),
    "too many names": ("a,b,c\n1,2\n", 1.0, "line 1: the header has 3 names for 2 columns"),
    "names alone": ("time,x\n", 1.0, "not a table of numbers: line 1 is 'time,x', and no line is a row of numbers"),
    "times alone": ("time\n1\n2\n", 1.0, "the file holds no samples, only the column 'time'"),
    "bytes": (bytes(range(256)), 1.0, "not a table of numbers: line 1 holds bytes that are no text"),
    "a damaged time": (
        "d;x\n" + rows(iso(T), X, sep=";") + "yesterday;1\n",
        1.0,
        "line 202, column 'd': 'yesterday' is not a time",
    ),
    "a rate with one comma": (
        "Sample rate: 44,100 Hz\n" + rows(X),
        None,
        "line 1: the sampling rate '44,100' has a decimal comma, or a comma between thousands: give fs",
    ),
    "a rate with one point among decimal commas": (
        "fs: 44.100 Hz\n" + comma(rows(X, Y, sep=";")),
        None,
        "line 1: the sampling rate '44.100' has a decimal point, or a point between thousands: give fs",
    ),
    "a rate in another unit": (
        "\nSampling rate: 60 rpm\n" + rows(X),
        None,
        "line 2: 'Sampling rate: 60 rpm' names a sampling rate that cannot be read: give fs",
    ),
    "a rate in a doubtful unit": (
        "fs: 2 mhz\n" + rows(X),
        None,
        "'fs: 2 mhz' names a sampling rate that cannot be read",
    ),
    "two numbers without units": ("fs: 250 16\n" + rows(X), None, "'fs: 250 16' names a sampling rate that cannot"),
    "a range of rates": ("fs: 10 Hz to 20 Hz\n" + rows(X), None, "names a sampling rate that cannot be read"),
    "a number behind a word": (
        "Sampling rate: unknown 5\n" + rows(X),
        None,
        "names a sampling rate that cannot be read",
    ),
    "a rate that is no number": ("fs: 1.2.3.4\n" + rows(X), None, "the sampling rate '1.2.3.4' cannot be read"),
    "two rates": (
        "fs=250 Hz\nSampling rate: 1 kHz\n" + rows(X),
        None,
        "the lines above the table name different sampling rates, 250 Hz in line 1 and 1000 Hz in line 2",
    ),
    "a rate of zero": ("fs: 0 Hz\n" + rows(X), None, "line 1: the sampling rate 0 Hz is not positive and finite"),
    "a rate below zero": ("fs: -5 Hz\n" + rows(X), None, "line 1: the sampling rate -5 Hz is not positive and finite"),
    "a sine and a cosine": (
        rows(np.round(np.sin(0.2 * K), 6), np.round(np.cos(0.2 * K), 6)),
        1.0,
        "line 1: '0,1' numbers the columns, or it is a row of samples",
    ),
    "whole numbers without a unit, uneven": (
        "time,x\n" + rows(np.delete(np.arange(201), 77), X),
        None,
        "is not even: .*; name the unit, such as 'time .ms.', and resample",
    ),
    "versions of programs": (
        "1.2.3\n4.5.6\n7.8.x\n",
        1.0,
        "the file holds no samples: no column has numbers|is not a number",
    ),
    "nothing": ("\n\n# nothing\n", 1.0, "the file holds no samples"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_tables_that_are_refused(tmp_path, name):
    content, given, message = REFUSED[name]
    path = tmp_path / "a.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message) as caught:
        recordings.read(path, fs=given)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (",time,x\n" + rows(K, T, X), "column 1 counts the rows and is left out"),
        ("stamp,x\n" + rows(T, X), "the column 'stamp' increases steadily and is taken as the clock"),
        ("t,time_ms,x\n" + rows(T, 4 * K, X), "the column 'time_ms' has the times of the column 't' and is left out"),
        ("t,state,x\n" + rows(T, ["ok"] * 200, X), "column 'state' holds text and is left out"),
        ("Sample rate (Hz): 250\n" + rows(X), "the sampling rate 250 Hz is that of line 1"),
        ("day,t,x\n" + rows(["2024-03-01"] * 200, T, X), "the column 'day' holds dates or times and is left out"),
        ("fs=9\n\n0,1,2\n" + rows(X, Y, X), "line 3 numbers the columns and is left out"),
    ],
)
def test_what_is_left_out_is_said(tmp_path, content, note):
    (tmp_path / "a.csv").write_text(content)
    assert note in recordings.read(tmp_path / "a.csv").notes


def test_long_tables_are_read_whole(tmp_path):
    """Longer than a piece, with a comment in the middle: the line of the last row is counted right."""
    n = 45_000
    text = "t,x\n" + "".join(f"{k / 500:.3f},{k % 7}\n" + ("# break\n" if k == 30_000 else "") for k in range(n))
    (tmp_path / "a.csv").write_text(text)
    recording = recordings.read(tmp_path / "a.csv")
    assert recording.fs == 500
    np.testing.assert_array_equal(recording.x[0], np.arange(n) % 7)
    (tmp_path / "a.csv").write_text(text + "90.0,nan\n")
    with pytest.raises(ValueError, match=f"line {n + 3} has the value nan"):
        recordings.read(tmp_path / "a.csv")


def test_a_given_rate_ignores_the_times(tmp_path):
    (tmp_path / "a.csv").write_text("time,x\n" + rows(DRIFT, np.cos(DRIFT)))
    recording = recordings.read(tmp_path / "a.csv", fs=7)
    assert recording.fs == 7.0 and recording.x.shape == (1, 4000)
