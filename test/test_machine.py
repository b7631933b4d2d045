from __future__ import annotations

import os
import platform

import numpy as np
import pytest

from mp_perception.evaluation.result_files import describe_versions
from mp_perception.machine import available_cores, library_versions, processor_flags, processor_name, spare_cores


def test_versions_are_those_of_the_installed_libraries() -> None:
    assert library_versions(("numpy", "no-such-library")) == {"numpy": np.__version__}


def test_the_versions_beside_figures_include_the_runtimes() -> None:
    assert {"numpy", "openvino", "onnxruntime", "mp_perception", "python"} <= describe_versions().keys()


def test_one_core_stays_free(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= spare_cores() <= available_cores()
    for cores, spare in ((1, 1), (2, 1), (8, 7)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda process, cores=cores: set(range(cores)))
        assert (available_cores(), spare_cores()) == (cores, spare)


def test_the_processor_has_a_name() -> None:
    assert processor_name()


def test_the_processors_flags_are_whole_words() -> None:
    """Every x86 processor with 64 bits has SSE2; others report none."""
    flags = processor_flags()
    assert (("sse2" in flags) and ("lm" in flags)) == (platform.machine() == "x86_64")
    assert all(" " not in flag for flag in flags)
