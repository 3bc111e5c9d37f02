"""What room is left, from what the system says."""

from __future__ import annotations

import torch

from zerosum import machine

CPU = torch.device("cpu")


def test_this_machine_has_room(tmp_path):
    found = machine.room(tmp_path, CPU)
    assert found["disk_free_mib"] > 0
    assert 0 < found.get("memory_free", 0.5) < 1


def test_the_least_counts(tmp_path, monkeypatch):
    said, group = tmp_path / "meminfo", tmp_path / "group"
    group.mkdir()
    monkeypatch.setattr(machine, "MEMINFO", said)
    monkeypatch.setattr(machine, "GROUP", group)
    assert machine.room(tmp_path, CPU).keys() == {"disk_free_mib"}
    said.write_text("MemTotal:       1000 kB\nMemFree:  10 kB\nMemAvailable:    400 kB\n")
    assert machine.room(tmp_path, CPU)["memory_free"] == 0.4
    (group / "memory.max").write_text("max\n")
    assert machine.room(tmp_path, CPU)["memory_free"] == 0.4
    (group / "memory.max").write_text("1000\n")
    (group / "memory.current").write_text("900\n")
    (group / "memory.stat").write_text("anon 800\nfile 100\n")
    assert round(machine.room(tmp_path, CPU)["memory_free"], 6) == 0.2
    (group / "memory.current").write_text("1100\n")
    assert machine.room(tmp_path, CPU)["memory_free"] == 0


def test_a_folder_that_is_not_there(tmp_path):
    assert "disk_free_mib" not in machine.room(tmp_path / "none", CPU)
