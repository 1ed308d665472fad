"""The pure-Python parts of the package are tested also where the wheel is not installed."""

import importlib.util
import os
import pathlib
import sys
import types

from hypothesis import settings

# A slow machine is no failure, and a run without a person repeats itself exactly.
settings.register_profile("house", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("house")

if importlib.util.find_spec("atomr_agents") is None:
    package = types.ModuleType("atomr_agents")
    package.__path__ = [str(pathlib.Path(__file__).parents[2] / "python" / "atomr_agents")]
    sys.modules["atomr_agents"] = package
