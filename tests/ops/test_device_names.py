"""What the machine is called, beside every number that depends on it."""

from __future__ import annotations

import platform

from dysample_lib.ops import devices


def test_a_processor_has_its_own_name(tmp_path):
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n" * 2)
    assert devices.processor_name(file) == "Some CPU @ 2 GHz"


def test_without_a_name_the_architecture_is_told(tmp_path):
    known = {platform.processor(), platform.machine()}
    assert devices.processor_name(tmp_path / "absent") in known
    (tmp_path / "arm").write_text("processor\t: 0\nBogoMIPS\t: 48.00\n")
    assert devices.processor_name(tmp_path / "arm") in known - {""}


def test_the_cpu_is_named_whatever_the_default_is():
    assert devices.device_name("cpu") == devices.processor_name()
