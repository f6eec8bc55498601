"""torchvision's reference recipe for a folder of photographs, as `benchmarks.small_data` runs it.

A ResNet-18, SGD with momentum and a cosine, label smoothing, TrivialAugment, flips, crops and erased rectangles, weight
decay on kernels alone, as torchvision's references/classification has them. The cosine is laid out over its time. Needs
torch and torchvision, and nothing of this project.
"""

import json
import math
import sys
import time

START = time.time(), time.process_time()

import torch  # noqa: E402
from torch import nn  # noqa: E402
from torchvision import datasets, models, transforms  # noqa: E402

BATCH = 64
RATE = 0.5 * BATCH / 1024  # the reference has 0.5 for eight times 128 images
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def main(folder: str, side: int, seed: int, seconds: float, clock: str) -> None:
    torch.manual_seed(seed)

    def spent() -> float:
        return time.time() - START[0] if clock == "wall" else time.process_time() - START[1]

    ending = [transforms.ToTensor(), transforms.Normalize(MEAN, DEVIATION)]
    small = side <= 64
    crop = transforms.RandomCrop(side, side // 8) if small else transforms.RandomResizedCrop(side)
    changed = transforms.Compose(
        [
            crop,
            transforms.RandomHorizontalFlip(),
            transforms.TrivialAugmentWide(),
            *ending,
            transforms.RandomErasing(0.1),
        ]
    )
    plain = transforms.Compose([transforms.Resize((side, side)), *ending])
    train, test = datasets.ImageFolder(f"{folder}/train", changed), datasets.ImageFolder(f"{folder}/test", plain)
    loader = torch.utils.data.DataLoader(train, BATCH, shuffle=True, drop_last=len(train) > BATCH)
    model = models.resnet18(num_classes=len(train.classes))
    if small:  # else a photograph of 32 pixels is one pixel at the end
        model.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    decayed = [weight for weight in model.parameters() if weight.ndim > 1]
    others = [weight for weight in model.parameters() if weight.ndim == 1]
    optimizer = torch.optim.SGD([{"params": decayed, "weight_decay": 2e-5}, {"params": others}], RATE, momentum=0.9)
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.1)

    began, steps, share = spent(), 0, 0.0
    while share < 1:
        model.train()
        for images, labels in loader:
            share = (spent() - began) / max(seconds - began, 1e-9)
            if share >= 1:
                break
            for group in optimizer.param_groups:
                group["lr"] = RATE * (1 + math.cos(math.pi * share)) / 2
            optimizer.zero_grad()
            loss_of(model(images), labels).backward()
            optimizer.step()
            steps += 1
    model.eval()
    with torch.no_grad():
        batches = torch.utils.data.DataLoader(test, 256)
        right = sum(int((model(images).argmax(1) == labels).sum()) for images, labels in batches)
    epochs = steps * min(BATCH, len(train)) / len(train)
    print(json.dumps({"accuracy": right / len(test), "seconds": spent(), "epochs": round(epochs, 1)}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), sys.argv[5])
