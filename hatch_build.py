"""Wheels that hold compiled kernels: see CONTRIBUTING.md.

FASTGRAD_PREBUILD names the levels of processors; without it a wheel holds Python only.
"""

import os
import shutil
import subprocess
import sys
import tempfile

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LEVELS, GROUPS = "FASTGRAD_PREBUILD", "FASTGRAD_PREBUILD_GROUPS"
CODE = """
import sys
from fastgrad.precompile import GROUPS, prebuild
into, levels, groups = sys.argv[1:]
for level in levels.split(","):
    print(level, prebuild(into, level, groups.split(",") if groups else tuple(GROUPS)))
"""


class Prebuilt(BuildHookInterface):
    """Compiles kernels with the Numba that is installed where the wheel is built."""

    scratch = None

    def dependencies(self):
        """Return what must be installed to build: all that the package needs, if it compiles."""
        return self.metadata.core.dependencies if os.environ.get(LEVELS) else []

    def initialize(self, version, build_data):
        """Compile, and have what was compiled put into a wheel for this Python and system."""
        levels = os.environ.get(LEVELS, "").replace(" ", "")
        if not levels or version == "editable":
            return
        self.scratch = tempfile.mkdtemp()
        arguments = self.scratch, levels, os.environ.get(GROUPS, "").replace(" ", "")
        path = os.pathsep.join(filter(None, (self.root, os.environ.get("PYTHONPATH"))))
        subprocess.run(
            [sys.executable, "-c", CODE, *arguments],
            check=True,
            env={**os.environ, "PYTHONPATH": path},
        )
        build_data["force_include"][self.scratch] = "fastgrad/_prebuilt"
        build_data["pure_python"], build_data["infer_tag"] = False, True

    def finalize(self, version, build_data, artifact_path):
        """Remove what the wheel holds now."""
        if self.scratch:
            shutil.rmtree(self.scratch)
