"""Train small VGG-like networks in groups by depth, on scikit-learn's digits; write weights and a list for `series`.

Four depths times 24 settings of batch size, weight decay and dropout, each trained once: 96 networks, minutes on two cores.
The settings and the range of depths were fixed before the first correlation was looked at.
"""

import argparse
import csv
import itertools
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

DEPTHS = (2, 3, 4, 6)
BATCH_SIZES = (8, 16, 32, 64)
WEIGHT_DECAYS = (0.0, 1e-3, 5e-3)
DROPOUTS = (0.0, 0.5)

CHANNELS = 32
EPOCHS = 30
LEARNING_RATE = 0.02
MOMENTUM = 0.9

SPLIT_SEED = 0
TRAIN_IMAGES = 300
NOISY_LABELS = 60

Settings = tuple[int, int, float, float]


def split_digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training images with some labels random, held-out images with true labels: the same split every time."""
    digits = load_digits()
    generator = torch.Generator().manual_seed(SPLIT_SEED)
    order = torch.randperm(len(digits.target), generator=generator)
    images = torch.tensor(digits.images / 16, dtype=torch.float32).unsqueeze(1)[order]
    labels = torch.tensor(digits.target)[order]
    noisy = labels[:TRAIN_IMAGES].clone()
    noisy[:NOISY_LABELS] = torch.randint(0, 10, (NOISY_LABELS,), generator=generator)
    return images[:TRAIN_IMAGES], noisy, images[TRAIN_IMAGES:], labels[TRAIN_IMAGES:]


def build_network(depth: int, dropout: float) -> nn.Sequential:
    """`depth` 3x3 convolutions with ReLU, halved in size after the first and the middle one, then two dense layers."""
    layers: list[nn.Module] = []
    inputs = 1
    for index in range(depth):
        layers += [nn.Conv2d(inputs, CHANNELS, kernel_size=3, padding=1), nn.ReLU()]
        nn.init.kaiming_normal_(layers[-2].weight, nonlinearity="relu")
        nn.init.zeros_(layers[-2].bias)
        inputs = CHANNELS
        if index in (0, depth // 2):
            layers.append(nn.MaxPool2d(2))
    layers += [nn.Flatten(), nn.Linear(CHANNELS * 4, 64), nn.ReLU(), nn.Dropout(dropout), nn.Linear(64, 10)]
    return nn.Sequential(*layers)


def train_one(job: tuple[int, int, Settings, Path]) -> dict[str, str | int | float]:
    """Train one network with SGD and a cosine schedule; save its weights; return its row of the list."""
    index, seed, (depth, batch_size, weight_decay, dropout), folder = job
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    images, labels, test_images, test_labels = split_digits()
    torch.manual_seed(1000 * seed + index)
    network = build_network(depth, dropout)
    optimizer = torch.optim.SGD(network.parameters(), LEARNING_RATE, momentum=MOMENTUM, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    network.train()
    for _ in range(EPOCHS):
        for batch in torch.randperm(TRAIN_IMAGES).split(batch_size):
            loss = F.cross_entropy(network(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    network.eval()
    with torch.no_grad():
        accuracy = (network(test_images).argmax(dim=1) == test_labels).float().mean().item()
    name = f"depth{depth}-batch{batch_size}-decay{weight_decay:g}-dropout{dropout:g}"
    save_file(network.state_dict(), folder / f"{name}.safetensors")
    print(f"{name}: accuracy {accuracy:.4f}", flush=True)
    return {
        "name": name,
        "checkpoint": f"{name}.safetensors",
        "group": f"depth {depth}",
        "accuracy": f"{accuracy:.4f}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where weights and list.csv are written")
    parser.add_argument("--processes", type=int, default=2, help="networks trained at once (default 2)")
    parser.add_argument("--seed", type=int, default=1, help="of initialisation and order (default 1)")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    grid = itertools.product(DEPTHS, BATCH_SIZES, WEIGHT_DECAYS, DROPOUTS)
    jobs = [(index, options.seed, settings, options.folder) for index, settings in enumerate(grid)]
    with ProcessPoolExecutor(options.processes) as pool:
        rows = list(pool.map(train_one, jobs))
    with (options.folder / "list.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
