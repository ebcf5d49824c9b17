"""Train the grid of small digit classifiers in `digits/`, or re-measure it with --verify."""

import argparse
import csv
import sys
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

DEPTHS = (3, 4, 5)
BATCH_SIZES = (8, 16, 32, 64, 128)

CHANNELS = 32
EPOCHS = 60
LEARNING_RATE = 0.02
MOMENTUM = 0.9
WEIGHT_DECAY = 5e-3
DROPOUT = 0.5

SPLIT_SEED = 0
TRAIN_IMAGES = 300
NOISY_LABELS = 60

# The one network that is also saved as a training checkpoint of PyTorch.
CHECKPOINT_NAME = "depth3-batch8"

# Another CPU may round differently and flip an image or two of the 1,497.
ACCURACY_TOLERANCE = 0.002

State = dict[str, Tensor]


@dataclass(frozen=True)
class Digits:
    """The split: training images with some labels random, held-out images with true labels."""

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor


def split_digits() -> Digits:
    """Split scikit-learn's 1,797 digits the same way every time."""
    digits = load_digits()
    generator = torch.Generator().manual_seed(SPLIT_SEED)
    order = torch.randperm(len(digits.target), generator=generator)
    images = torch.tensor(digits.images / 16, dtype=torch.float32).unsqueeze(1)[order]
    labels = torch.tensor(digits.target)[order]
    train_labels = labels[:TRAIN_IMAGES].clone()
    train_labels[:NOISY_LABELS] = torch.randint(0, 10, (NOISY_LABELS,), generator=generator)
    return Digits(
        images[:TRAIN_IMAGES], train_labels, images[TRAIN_IMAGES:], labels[TRAIN_IMAGES:]
    )


def build_network(depth: int) -> nn.Sequential:
    """A stem, `depth` convolutions of 32 -> 32 channels, and a linear head."""

    def convolution(inputs: int) -> nn.Conv2d:
        layer = nn.Conv2d(inputs, CHANNELS, kernel_size=3, padding=1)
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.get_parameter("bias"))
        return layer

    layers: OrderedDict[str, nn.Module] = OrderedDict(stem=convolution(1), stem_relu=nn.ReLU())
    for index in range(1, depth + 1):
        layers[f"conv{index}"] = convolution(CHANNELS)
        layers[f"relu{index}"] = nn.ReLU()
        if index == 1:
            layers["pool"] = nn.MaxPool2d(2)
    layers["average"] = nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["dropout"] = nn.Dropout(DROPOUT)
    layers["head"] = nn.Linear(CHANNELS, 10)
    return nn.Sequential(layers)


def train(
    depth: int, batch_size: int, seed: int, digits: Digits
) -> tuple[nn.Sequential, torch.optim.SGD]:
    """Train one network with SGD and a cosine schedule."""
    torch.manual_seed(seed)
    network = build_network(depth)
    optimizer = torch.optim.SGD(
        network.parameters(), LEARNING_RATE, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    network.train()
    for _ in range(EPOCHS):
        for batch in torch.randperm(TRAIN_IMAGES).split(batch_size):
            loss = F.cross_entropy(network(digits.train_images[batch]), digits.train_labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    return network, optimizer


def measure(state: State, depth: int, digits: Digits) -> float:
    """Accuracy on the held-out images of the weights as stored (F16), computed in F32."""
    network = build_network(depth)
    network.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    network.eval()
    with torch.no_grad():
        correct = network(digits.test_images).argmax(dim=1) == digits.test_labels
    return correct.float().mean().item()


def load_state(path: Path) -> State:
    """The weights in a .safetensors file or in a .pt training checkpoint."""
    if path.suffix == ".safetensors":
        return load_file(path)
    return torch.load(path, weights_only=True)["model_state_dict"]


def train_grid(folder: Path, seed: int) -> None:
    """Train every network of the grid; write the files and results.csv into `folder`."""
    digits = split_digits()
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, str | int | float]] = []
    for depth in DEPTHS:
        for batch_size in BATCH_SIZES:
            name = f"depth{depth}-batch{batch_size}"
            path = folder / f"{name}.safetensors"
            network, optimizer = train(depth, batch_size, seed, digits)
            state = {key: tensor.half() for key, tensor in network.state_dict().items()}
            save_file(state, path)
            if name == CHECKPOINT_NAME:
                checkpoint = {
                    "epoch": EPOCHS,
                    "model_state_dict": state,
                    "optimizer_state_dict": optimizer.state_dict(),
                }
                torch.save(checkpoint, folder / f"{name}.pt")
            accuracy = measure(load_state(path), depth, digits)
            print(f"{name}: accuracy {accuracy:.4f}", flush=True)
            rows.append(
                {
                    "name": name,
                    "depth": depth,
                    "batch_size": batch_size,
                    "weight_decay": WEIGHT_DECAY,
                    "dropout": DROPOUT,
                    "learning_rate": LEARNING_RATE,
                    "epochs": EPOCHS,
                    "seed": seed,
                    "accuracy": f"{accuracy:.4f}",
                    "bytes": path.stat().st_size,
                }
            )
    with (folder / "results.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def verify(folder: Path) -> bool:
    """Re-measure every file in `folder` and compare it with results.csv."""
    digits = split_digits()
    with (folder / "results.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    paths = sorted(folder.glob("*.safetensors")) + sorted(folder.glob("*.pt"))
    expected = {f"{name}.safetensors" for name in rows} | {f"{CHECKPOINT_NAME}.pt"}
    found = {path.name for path in paths}
    for name in sorted(expected ^ found):
        print(f"{name}: {'missing' if name in expected else 'not in results.csv'}")
    good = expected == found
    for path in paths:
        if path.name not in expected:
            continue
        row = rows[path.stem]
        accuracy = measure(load_state(path), int(row["depth"]), digits)
        same = abs(accuracy - float(row["accuracy"])) <= ACCURACY_TOLERANCE
        if path.suffix == ".safetensors":
            same = same and path.stat().st_size == int(row["bytes"])
        print(
            f"{path.name}: accuracy {accuracy:.4f}, results.csv {row['accuracy']}: "
            f"{'ok' if same else 'MISMATCH'}"
        )
        good = good and same
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--verify", action="store_true", help="re-measure the files in the folder; do not train"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the training (default 0)")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(__file__).parent / "digits",
        help="where the files are (default: digits, beside this script)",
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    if options.verify:
        return 0 if verify(options.folder) else 1
    train_grid(options.folder, options.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
