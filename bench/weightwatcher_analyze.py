"""Analyses one safetensors file with WeightWatcher: weightwatcher_analyze.py FILE [ARGUMENTS of analyze(), as JSON]. Prints the seconds of analyze() alone."""

import json
import sys
import time

import safetensors.torch
import weightwatcher

state = safetensors.torch.load_file(sys.argv[1])
watcher = weightwatcher.WeightWatcher(model=state)
start = time.perf_counter()
details = watcher.analyze(**json.loads(sys.argv[2]) if len(sys.argv) > 2 else {})
watcher.get_summary()
print(f"ANALYZE {time.perf_counter() - start:.3f} ({len(details)} layers)")
