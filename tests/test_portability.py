"""What only Linux or only glibc has is guarded: the recipe runs on macOS, too."""

import ctypes
import os
import sys
from types import SimpleNamespace

import torch

from recipe import cli
from recipe.checks import augmentation
from recipe.stages import torch_setup
from recipe.verdict import SKIP


def test_cores_are_counted_where_processes_have_no_affinity(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert cli._cores() == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cli._cores() == 1


def test_memory_is_managed_by_the_system_where_there_is_no_glibc(monkeypatch):
    looked_for = []

    def missing(name):
        looked_for.append(name)
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    monkeypatch.setattr(sys, "platform", "linux")
    torch_setup.keep_freed_memory()
    assert looked_for == ["libc.so.6"]
    monkeypatch.setattr(sys, "platform", "darwin")
    torch_setup.keep_freed_memory()
    assert looked_for == ["libc.so.6"]


def test_loader_workers_are_not_forked_on_macos(monkeypatch):
    """There a fork after torch has started threads may crash."""
    setup = SimpleNamespace(augment=torch.neg, train_augmented=None, workers=2, train=[(torch.zeros(1, 2, 2), 0)])
    monkeypatch.setattr(sys, "platform", "darwin")
    assert augmentation.workers_draw_their_own(setup).verdict == SKIP
