"""Puts the files of a new project (`kun init`) into wheel and sdist, from their one place at the top of the repository.

Everything else about the package stands in pyproject.toml.
"""

import runpy
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SKELETON = runpy.run_path(str(Path(__file__).parent / "kun" / "start" / "skeleton.py"))


class WithProject(build_py):
    """build_py whose data files include those of a project: the wheel asks for the first list, the sdist for the second."""

    def _get_data_files(self) -> list[tuple[str, str, str, list[str]]]:
        return [*super()._get_data_files(), self._project()]

    def get_data_files_without_manifest(self) -> list[tuple[str, str, str, list[str]]]:
        return [*super().get_data_files_without_manifest(), self._project()]

    def _project(self) -> tuple[str, str, str, list[str]]:
        place = Path(self.build_lib, "kun", "start", SKELETON["CARRIED"])
        return "kun.start", ".", str(place), SKELETON["names"](Path())


setup(cmdclass={"build_py": WithProject})
