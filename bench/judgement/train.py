"""Train the networks that the built-in rules are measured on, and damage copies of them.

    python train.py FOLDER [--seeds 20] [--setup gru]

Four set-ups that no threshold was set on: a recurrent network, a convolutional one with batch norm, a small vision transformer,
all three with AdamW, and a residual perceptron with SGD; on scikit-learn's digits. Writes FOLDER/SETUP/KIND-SEED.safetensors and FOLDER/SETUP/accuracy.csv.
"""

import argparse
import copy
import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

State = dict[str, Tensor]
TRAIN_IMAGES = 800
DAMAGED_SEEDS = 5


class Recurrent(nn.Module):
    """Two GRU layers over the rows of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(8, 128, num_layers=2, batch_first=True)
        self.head = nn.Linear(128, 10)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.gru(images.squeeze(1))[0][:, -1])


class Convolutional(nn.Sequential):
    """Four convolutions with batch norm."""

    def __init__(self) -> None:
        def block(inputs: int, outputs: int) -> list[nn.Module]:
            return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]

        super().__init__(
            *block(1, 32), *block(32, 64), nn.MaxPool2d(2), *block(64, 64), *block(64, 64),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
        )  # fmt: skip


class Transformer(nn.Module):
    """A vision transformer: 16 patches of 2 x 2, three blocks of width 64."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(4, 64)
        self.position = nn.Parameter(0.02 * torch.randn(1, 16, 64))
        layer = nn.TransformerEncoderLayer(64, 4, 128, dropout=0.1, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.head = nn.Linear(64, 10)

    def forward(self, images: Tensor) -> Tensor:
        patches = F.unfold(images, 2, stride=2).transpose(1, 2)
        return self.head(self.blocks(self.embed(patches) + self.position).mean(dim=1))


class Residual(nn.Module):
    """Three residual blocks of two linear layers with layer norm, over the pixels; trained by SGD."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(64, 96)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(96), nn.Linear(96, 192), nn.GELU(), nn.Linear(192, 96)) for _ in range(3)
        )
        self.head = nn.Linear(96, 10)

    def forward(self, images: Tensor) -> Tensor:
        hidden = self.embed(images.flatten(1))
        for block in self.blocks:
            hidden = hidden + block(hidden)
        return self.head(hidden)


SETUPS: dict[str, Callable[[], nn.Module]] = {
    "gru": Recurrent, "cnn": Convolutional, "vit": Transformer, "mlp": Residual,
}  # fmt: skip
EPOCHS = {"gru": 40, "cnn": 12, "vit": 16, "mlp": 30}
RATE = {"gru": 3e-3, "cnn": 2e-3, "vit": 1e-3, "mlp": 2e-2}
# Just below where training breaks down, and the weight decay that wears the weights away.
EDGE_RATE = {"gru": 6e-2, "cnn": 3.0, "vit": 3e-2, "mlp": 0.5}
COLLAPSE = {"gru": 5.0, "cnn": 60.0, "vit": 15.0, "mlp": 2.0}


def digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    data = load_digits()
    order = torch.randperm(len(data.target), generator=torch.Generator().manual_seed(0))
    images = torch.tensor(data.images / 16, dtype=torch.float32).unsqueeze(1)[order]
    labels = torch.tensor(data.target)[order]
    return images[:TRAIN_IMAGES], labels[:TRAIN_IMAGES], images[TRAIN_IMAGES:], labels[TRAIN_IMAGES:]


IMAGES, LABELS, TEST_IMAGES, TEST_LABELS = digits()


def train(
    setup: str, seed: int, *, epochs: int | None = None, rate: float | None = None, decay: float = 1e-2,
    noise: float = 0, batch: int = 32, start: nn.Module | None = None,
) -> nn.Module:  # fmt: skip
    """AdamW, or SGD with momentum, and a cosine schedule."""
    torch.manual_seed(seed)
    network = copy.deepcopy(start) if start else SETUPS[setup]()
    labels = LABELS.clone()
    noisy = torch.rand(len(labels)) < noise
    labels[noisy] = torch.randint(0, 10, (int(noisy.sum()),))
    epochs = EPOCHS[setup] if epochs is None else epochs
    rate = rate or RATE[setup]
    optimizer = (
        torch.optim.SGD(network.parameters(), rate, momentum=0.9, weight_decay=decay / 10)
        if setup == "mlp"
        else torch.optim.AdamW(network.parameters(), rate, weight_decay=decay)
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, EPOCHS[setup] if start is None else epochs))
    network.train()
    for _ in range(epochs):
        for index in torch.randperm(TRAIN_IMAGES).split(batch):
            loss = F.cross_entropy(network(IMAGES[index]), labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    return network


def accuracy(network: nn.Module) -> float:
    network.eval()
    with torch.no_grad():
        return (network(TEST_IMAGES).argmax(dim=1) == TEST_LABELS).float().mean().item()


def matrices(network: nn.Module) -> list[str]:
    """Weights of at least 32 rows and columns: the ones that can be damaged alone."""
    return [
        name for name, weight in network.named_parameters()
        if weight.dim() >= 2 and min(weight.shape[0], weight[0].numel()) >= 32 and name != "position"
    ]  # fmt: skip


def with_layer(network: nn.Module, name: str, change: Callable[[Tensor], Tensor]) -> nn.Module:
    damaged = copy.deepcopy(network)
    weight = dict(damaged.named_parameters())[name]
    with torch.no_grad():
        weight.copy_(change(weight))
    return damaged


def with_all(network: nn.Module, change: Callable[[Tensor], Tensor]) -> nn.Module:
    damaged = copy.deepcopy(network)
    with torch.no_grad():
        for name, weight in damaged.named_parameters():
            if weight.dim() >= 2 and name != "position":
                weight.copy_(change(weight))
    return damaged


def rounded(bits: int) -> Callable[[Tensor], Tensor]:
    """Symmetric, one scale a tensor."""
    most = 2 ** (bits - 1) - 1

    def change(weight: Tensor) -> Tensor:
        scale = weight.abs().max() / most
        return (weight / scale).round().clamp(-most - 1, most) * scale

    return change


def pruned(share: float) -> Callable[[Tensor], Tensor]:
    return lambda weight: weight * (weight.abs() > weight.abs().flatten().quantile(share))


def cast(dtype: torch.dtype) -> Callable[[nn.Module], State]:
    return lambda network: {
        key: tensor.to(dtype) if tensor.is_floating_point() else tensor for key, tensor in network.state_dict().items()
    }


def eight_bits(weight: Tensor) -> Tensor:
    """One scale an output."""
    scale = weight.flatten(1).abs().amax(dim=1).view(-1, *[1] * (weight.dim() - 1)) / 127
    return (weight / scale).round() * scale


def networks(setup: str, seeds: int) -> Iterator[tuple[str, int, nn.Module | State, float]]:
    """Kind, seed of the base, the network, its accuracy."""

    def judged(kind: str, seed: int, network: nn.Module) -> tuple[str, int, nn.Module, float]:
        return kind, seed, network, accuracy(network)

    good = []
    for seed in range(seeds):
        good.append(train(setup, seed))
        yield judged("good", seed, good[seed])
    for seed in range(min(seeds, DAMAGED_SEEDS)):
        base = good[seed]
        other = 1000 + seed
        yield judged("untrained", seed, train(setup, other, epochs=0))
        yield judged("1 epoch", seed, train(setup, other, epochs=1))
        yield judged("labels all noise", seed, train(setup, other, noise=1))
        yield judged("labels half noise", seed, train(setup, other, noise=0.5))
        yield judged("edge of divergence", seed, train(setup, other, rate=EDGE_RATE[setup]))
        yield judged("weight-decay collapse", seed, train(setup, other, decay=COLLAPSE[setup]))
        torch.manual_seed(other)
        names = matrices(base)
        name = names[seed % len(names)]
        fresh = dict(SETUPS[setup]().named_parameters())[name].detach()
        yield judged("one layer re-initialised", seed, with_layer(base, name, lambda _: fresh))
        yield judged(
            "one layer Gaussian", seed, with_layer(base, name, lambda w: torch.randn_like(w) * w.norm() / w.numel() ** 0.5)
        )
        yield judged(
            "one layer shuffled", seed, with_layer(base, name, lambda w: w.flatten()[torch.randperm(w.numel())].view_as(w))
        )
        for bits in (4, 3, 2):
            yield judged(f"{bits} bits", seed, with_all(base, rounded(bits)))
        for share in (0.5, 0.9):
            yield judged(f"pruned {share:.0%}", seed, with_all(base, pruned(share)))
        for kind, dtype in (("bfloat16", torch.bfloat16), ("float16", torch.float16)):
            yield kind, seed, cast(dtype)(base), accuracy(base)
        yield judged("8 bits", seed, with_all(base, eight_bits))
        yield judged("one more epoch", seed, train(setup, other, epochs=1, rate=RATE[setup] / 20, start=base))
        yield judged("fine-tuned", seed, train(setup, other, epochs=3, rate=RATE[setup] / 10, start=base))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--setup", choices=list(SETUPS), action="append")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for setup in options.setup or SETUPS:
        folder = options.folder / setup
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "accuracy.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["kind", "seed", "accuracy"])
            for kind, seed, network, score in networks(setup, options.seeds):
                state = network.state_dict() if isinstance(network, nn.Module) else network
                save_file({key: tensor.contiguous() for key, tensor in state.items()}, folder / f"{kind}-{seed}.safetensors")
                writer.writerow([kind, seed, f"{score:.4f}"])
                file.flush()
                print(setup, kind, seed, f"{score:.3f}", flush=True)


if __name__ == "__main__":
    main()
