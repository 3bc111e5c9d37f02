"""A plain DCGAN loop in PyTorch: frozen, never tuned. It is what people start from, and what zerosum is timed against.

Written anew in the manner of the well-known PyTorch tutorial: sigmoid and BCELoss, separate backward passes for the
real and the generated half, a discriminator whose weights keep collecting gradients in the generator's step, Adam as it
comes, NCHW, and five numbers read from the device at every step. A change that makes it faster is a mistake here.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

LATENT = 100
WIDTH = 64
REAL, FAKE = 1.0, 0.0


class PlainDCGAN:
    """The two networks and their optimizers; ``step`` trains each once on a batch of real pictures.

    Pictures are square, ``size`` is 64 or 28; ``batch`` is the number of pictures that every ``step`` is given.
    """

    def __init__(self, size: int, channels: int, batch: int) -> None:
        if size not in (28, 64):
            raise ValueError(f"the plain loop knows pictures of 28x28 and 64x64, not {size}x{size}")
        self.batch = batch
        self.netG = generator64(channels) if size == 64 else generator28(channels)
        self.netD = discriminator64(channels) if size == 64 else discriminator28(channels)
        self.netG.apply(weights_init)
        self.netD.apply(weights_init)
        self.criterion = nn.BCELoss()
        self.optimizerD = torch.optim.Adam(self.netD.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self.optimizerG = torch.optim.Adam(self.netG.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self.read: dict[str, float] = {}

    def step(self, x: Tensor) -> None:
        """First the discriminator on real and generated pictures, then the generator. ``x``: (batch, C, H, W)."""
        self.netD.zero_grad()
        label = torch.full((self.batch,), REAL)
        output = self.netD(x).view(-1)
        loss_real = self.criterion(output, label)
        loss_real.backward()
        d_x = output.mean().item()

        noise = torch.randn(self.batch, LATENT, 1, 1)
        fake = self.netG(noise)
        label.fill_(FAKE)
        output = self.netD(fake.detach()).view(-1)
        loss_fake = self.criterion(output, label)
        loss_fake.backward()
        d_g_z1 = output.mean().item()
        loss_d = loss_real + loss_fake
        self.optimizerD.step()

        self.netG.zero_grad()
        label.fill_(REAL)
        output = self.netD(fake).view(-1)
        loss_g = self.criterion(output, label)
        loss_g.backward()
        d_g_z2 = output.mean().item()
        self.optimizerG.step()

        self.read = {"errD": loss_d.item(), "errG": loss_g.item(), "D_x": d_x, "D_G_z1": d_g_z1, "D_G_z2": d_g_z2}


def generator64(channels: int) -> nn.Sequential:
    """Latents (N, 100, 1, 1) -> pictures (N, ``channels``, 64, 64)."""
    return nn.Sequential(
        nn.ConvTranspose2d(LATENT, WIDTH * 8, 4, 1, 0, bias=False),
        nn.BatchNorm2d(WIDTH * 8),
        nn.ReLU(True),
        nn.ConvTranspose2d(WIDTH * 8, WIDTH * 4, 4, 2, 1, bias=False),
        nn.BatchNorm2d(WIDTH * 4),
        nn.ReLU(True),
        nn.ConvTranspose2d(WIDTH * 4, WIDTH * 2, 4, 2, 1, bias=False),
        nn.BatchNorm2d(WIDTH * 2),
        nn.ReLU(True),
        nn.ConvTranspose2d(WIDTH * 2, WIDTH, 4, 2, 1, bias=False),
        nn.BatchNorm2d(WIDTH),
        nn.ReLU(True),
        nn.ConvTranspose2d(WIDTH, channels, 4, 2, 1, bias=False),
        nn.Tanh(),
    )


def discriminator64(channels: int) -> nn.Sequential:
    """Pictures (N, ``channels``, 64, 64) -> probability of being real (N, 1, 1, 1)."""
    return nn.Sequential(
        nn.Conv2d(channels, WIDTH, 4, 2, 1, bias=False),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(WIDTH, WIDTH * 2, 4, 2, 1, bias=False),
        nn.BatchNorm2d(WIDTH * 2),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(WIDTH * 2, WIDTH * 4, 4, 2, 1, bias=False),
        nn.BatchNorm2d(WIDTH * 4),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(WIDTH * 4, WIDTH * 8, 4, 2, 1, bias=False),
        nn.BatchNorm2d(WIDTH * 8),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(WIDTH * 8, 1, 4, 1, 0, bias=False),
        nn.Sigmoid(),
    )


def generator28(channels: int) -> nn.Sequential:
    """Latents (N, 100, 1, 1) -> pictures (N, ``channels``, 28, 28)."""
    return nn.Sequential(
        nn.ConvTranspose2d(LATENT, WIDTH * 2, 7, 1, 0, bias=False),
        nn.BatchNorm2d(WIDTH * 2),
        nn.ReLU(True),
        nn.ConvTranspose2d(WIDTH * 2, WIDTH, 4, 2, 1, bias=False),
        nn.BatchNorm2d(WIDTH),
        nn.ReLU(True),
        nn.ConvTranspose2d(WIDTH, channels, 4, 2, 1, bias=False),
        nn.Tanh(),
    )


def discriminator28(channels: int) -> nn.Sequential:
    """Pictures (N, ``channels``, 28, 28) -> probability of being real (N, 1, 1, 1)."""
    return nn.Sequential(
        nn.Conv2d(channels, WIDTH, 4, 2, 1, bias=False),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(WIDTH, WIDTH * 2, 4, 2, 1, bias=False),
        nn.BatchNorm2d(WIDTH * 2),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(WIDTH * 2, 1, 7, 1, 0, bias=False),
        nn.Sigmoid(),
    )


def weights_init(module: nn.Module) -> None:
    """Weights of convolutions from N(0, 0.02), scales of batch norms from N(1, 0.02)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
