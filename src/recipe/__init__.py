"""Karpathy's recipe for training neural networks as a pipeline that refuses to skip a step."""

import os

# Before torch is imported: OpenMP's busy waiting makes two threads slower than one wherever a core is taken.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")
