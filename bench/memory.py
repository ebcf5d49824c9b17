"""Writes a checkpoint with 2.1 GB of weights: python bench/memory.py KIND PATH large|small
`large` has eight tensors of 256 MB; `small` has 8,000 of 256 × 256, heavy-tailed."""

import io
import sys
import zipfile

import numpy as np

kind, path, size = sys.argv[1:]
rng = np.random.default_rng(1)
block = rng.standard_t(3, (256, 256)).astype(np.float32) / 16


def tensors():
    if size == "large":
        for i in range(8):
            yield f"layers.{i}.weight", np.resize(block, (8192, 8192))
    else:
        for i in range(8000):
            yield f"layers.{i}.weight", np.roll(block, i, 1) * np.float32(1 + i / 8000)


def state_dict():
    import torch

    return {name: torch.from_numpy(values) for name, values in tensors()}


def h5(target, chunked=False):
    import h5py

    with h5py.File(target, "w") as file:
        for name, values in tensors():
            group = file.create_group(f"layers/{name.split('.')[1]}/vars")
            group.create_dataset("0", data=values, **({"chunks": True, "shuffle": True, "compression": 1} if chunked else {}))


if kind == "safetensors":
    import safetensors.numpy

    safetensors.numpy.save_file(dict(tensors()), path)
elif kind in ("torch-zip", "torch-legacy"):
    import torch

    torch.save(state_dict(), path, _use_new_zipfile_serialization=kind == "torch-zip")
elif kind == "sb3-zip":
    import torch

    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("data", "{}")
        archive.writestr("_stable_baselines3_version", "2.9.2")
        with archive.open("policy.pth", "w", force_zip64=True) as member:
            torch.save(state_dict(), member)
elif kind == "npz":
    np.savez(path, **dict(tensors()))
elif kind == "npz-deflated":
    np.savez_compressed(path, **dict(tensors()))
elif kind == "npy":
    np.save(path, np.zeros((8 * 8192, 8192), np.float32))
elif kind in ("hdf5", "hdf5-deflated"):
    h5(path, kind == "hdf5-deflated")
elif kind == "keras":
    inner = path + ".inner"
    h5(inner)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("metadata.json", '{"keras_version": "3.15.1"}')
        archive.writestr("config.json", "{}")
        archive.write(inner, "model.weights.h5")
elif kind == "onnx":
    import onnx
    from onnx import helper, numpy_helper

    weights = [numpy_helper.from_array(values, name) for name, values in tensors()]
    model = helper.make_model(helper.make_graph([], "net", [], [], weights))
    onnx.save(model, path, save_as_external_data=True, location=path.split("/")[-1] + ".data")
elif kind == "gguf":
    import gguf

    writer = gguf.GGUFWriter(path, "net")
    for name, values in tensors():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
