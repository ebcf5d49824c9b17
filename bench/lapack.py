"""Times LAPACK on one matrix and holds our eigenvalues against it: lapack.py FOLDER K N REPEATS. Prints JSON, CPU milliseconds."""

import json
import sys
import time

import numpy as np
import scipy.linalg

folder, k, n, repeats = sys.argv[1], *map(int, sys.argv[2:])
w = np.fromfile(f"{folder}/w.f32", dtype=np.float32).reshape(k, n).astype(np.float64)
ours = np.fromfile(f"{folder}/ours.f64")


def milliseconds(f):
    times = []
    for _ in range(repeats):
        start = time.process_time()
        result = f()
        times.append(1000 * (time.process_time() - start))
    return sorted(times)[len(times) // 2], result


svdvals, s = milliseconds(lambda: scipy.linalg.svdvals(w))
gram, _ = milliseconds(lambda: scipy.linalg.eigvalsh(w.T @ w))
truth = np.sort(s**2)
error = np.abs(ours - truth)
half = n // 2
print(json.dumps({"svdvals": svdvals, "gram": gram, "worst": error.max() / truth[-1], "top": (error[half:] / truth[half:]).max()}))
