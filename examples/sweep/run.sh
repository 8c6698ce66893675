#!/bin/sh
# Two models, two learning rates, three seeds: twelve jobs of the baseline stage, then a table of their results.
# It needs the outputs of the stages before baseline: dvc repro split
set -eu
cd "$(dirname "$0")/../.."
python pipeline/baseline.py -m model=mlp,convnet optimizer.lr=0.001,0.003 seed=0,1,2 "$@"
python examples/sweep/compare.py
