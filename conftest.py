"""Modules whose examples need an extra that is not installed are not looked at for examples."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("dask") and find_spec("distributed") else ["adaptstft/dask.py"]
