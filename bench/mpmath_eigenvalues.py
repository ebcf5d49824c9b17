"""Holds the largest eigenvalue and the sum of all against mpmath with 60 digits, over matrices that are hard for a double: graded,
with columns whose squares underflow, denormal, nearly rank-deficient, beside huge elements. Prints how many agree, and the worst.

    python bench/mpmath_eigenvalues.py [COUNT] [SEED]     (needs numpy and mpmath; from the project's root, after a build)
"""
import json
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import mpmath
import numpy as np

mpmath.mp.dps = 60
COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 2026
TOLERANCE = 1e-13


def matrix(rng, kind):
    rows, columns = int(rng.integers(10, 20)), int(rng.integers(10, 14))
    a = rng.standard_normal((rows, columns))
    if kind == "graded":
        a *= 10.0 ** rng.uniform(-150, 0, columns)
    elif kind == "graded rows":
        a *= 10.0 ** rng.uniform(-80, 80, (rows, 1))
    elif kind == "underflowing":
        a[:, : int(rng.integers(1, columns))] *= 10.0 ** rng.uniform(-162, -139)
    elif kind == "denormal":
        a[:, : int(rng.integers(1, columns))] *= 10.0 ** rng.uniform(-320, -300)
    elif kind == "nearly rank-deficient":
        a[:, 1:4] = a[:, :1] * (1 + 1e-12 * rng.standard_normal((rows, 3)))
    elif kind == "beside huge":
        a *= 10.0 ** rng.uniform(-150, -100)
        a[0, 0] = 10.0 ** rng.uniform(100, 150)
    return a


KINDS = ["plain", "graded", "graded rows", "underflowing", "denormal", "nearly rank-deficient", "beside huge"]


def write(path, matrices):
    header, offset, parts = {}, 0, []
    for name, a in matrices.items():
        data = a.astype("<f8").tobytes()
        header[name] = {"dtype": "F64", "shape": list(a.shape), "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
        parts.append(data)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))


def exact(a):
    m = mpmath.matrix(a.tolist())
    values = mpmath.eigsy(m.T * m, eigvals_only=True)
    return max(values), mpmath.fsum(values)


def main():
    rng = np.random.default_rng(SEED)
    matrices = {f"m{i:05d}": matrix(rng, KINDS[i % len(KINDS)]) for i in range(COUNT)}
    with tempfile.TemporaryDirectory() as folder:
        path, report = Path(folder, "m.safetensors"), Path(folder, "m.json")
        write(path, matrices)
        subprocess.run(["node", "dist/cli.js", path, "--json", report, "--quiet"], check=False, stdout=subprocess.DEVNULL)
        layers = json.loads(report.read_text())["models"][0]["layers"]
    worst, agree = {}, 0
    for layer in layers:
        largest, total = exact(matrices[layer["name"]])
        kind = KINDS[int(layer["name"][1:]) % len(KINDS)]
        errors = [
            float(abs(mpmath.mpf(layer[metric]) - truth) / truth) if layer[metric] is not None else float("inf")
            for metric, truth in (("lambda_max", largest), ("norm", total))
        ]
        worst[kind] = max(worst.get(kind, 0), *errors)
        agree += max(errors) <= TOLERANCE
    for kind, error in worst.items():
        print(f"{kind:24} worst relative error {error:.1e}")
    print(f"{agree} of {len(layers)} matrices agree with mpmath to {TOLERANCE}, seed {SEED}")
    sys.exit(0 if agree == len(layers) == COUNT else 1)


main()
