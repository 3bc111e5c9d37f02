"""The plain loop and other libraries for ``step.py``: networks equal to ``plain_dcgan``'s, the same ready batches.

Each function builds a contestant, to be called in a process of its own, which alone imports the library:
(table, folder) -> (one step, numbers of trainable parameters of generator and discriminator).
"""

from __future__ import annotations

import importlib.util
import os
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor, nn

READY_BATCHES = 4
Step = Callable[[], object]
Built = tuple[Step, list[int]]


class Table(NamedTuple):
    """One comparison: square pictures of ``size``, and the batch."""

    size: int
    channels: int
    batch: int


def ready_batches(table: Table) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Random pictures in [-1, 1]: (READY_BATCHES, batch, C, H, W)."""
    shape = (READY_BATCHES, table.batch, table.channels, table.size, table.size)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8).astype(np.float32) / 127.5 - 1


def parameters(*nets: nn.Module) -> list[int]:
    return [sum(parameter.numel() for parameter in net.parameters()) for net in nets]


def plain(table: Table, folder: Path) -> Built:
    """The plain loop."""
    gan, batches = plain_gan(table)
    taken = 0

    def step() -> None:
        nonlocal taken
        taken += 1
        gan.step(batches[taken % READY_BATCHES])

    return step, parameters(gan.netG, gan.netD)


def plain_gan(table: Table) -> tuple[Any, Tensor]:
    """The plain loop's two networks with their optimizers, and ready batches."""
    import torch
    from plain_dcgan import PlainDCGAN  # pyrefly: ignore [missing-import] - it lies beside this script

    torch.manual_seed(0)
    return PlainDCGAN(table.size, table.channels, table.batch), torch.tensor(ready_batches(table))


# Keras 3 on TensorFlow


def keras(table: Table, folder: Path) -> Built:
    """A step written for speed, in 32 bits."""
    return keras_step(table, "float32")[:2]


def keras16(table: Table, folder: Path) -> Built:
    """The same with Keras's mixed precision: 16 bits, weights, statistics and losses in 32."""
    return keras_step(table, "mixed_bfloat16")[:2]


def keras_step(table: Table, policy: str) -> tuple[Callable[[], Any], list[int], Any, Any]:
    """The step (returns the losses of discriminator and generator), parameters, generator and discriminator.

    The plain loop's algorithm, as a person who knows TensorFlow well writes it: one graph, NHWC, losses of logits, the
    generator run once for both turns, no gradients of the discriminator's weights in the generator's turn. Where a part
    of TensorFlow is quicker than Keras's own it is taken: the fused batch norm (see ``keras_networks``) and the fused
    Adam, which is the one of TensorFlow 1. XLA is off, for it is slower on a CPU.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf  # pyrefly: ignore [missing-import]

    threads = int(os.environ.get("OMP_NUM_THREADS", "0"))  # which torch obeys too; 0: as many as there are
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    tf.config.set_visible_devices([], "GPU")
    generator, discriminator = keras_networks(table, policy)
    of_generator, of_discriminator = (
        [variable.value for variable in net.trainable_variables] for net in (generator, discriminator)
    )
    adam_g, adam_d = (tf.compat.v1.train.AdamOptimizer(2e-4, beta1=0.5, beta2=0.999) for _ in range(2))

    def loss(logits: Any, label: float) -> Any:
        labels = tf.fill(logits.shape, label)
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits))

    @tf.function
    def train(real: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as drawing:
            drawing.watch(of_generator)
            fake = generator(tf.random.normal((table.batch, 100)), training=True)
        with tf.GradientTape(watch_accessed_variables=False) as judging:
            judging.watch(of_discriminator)
            loss_d = loss(discriminator(real, training=True), 1.0) + loss(discriminator(fake, training=True), 0.0)
        adam_d.apply_gradients(zip(judging.gradient(loss_d, of_discriminator), of_discriminator, strict=True))
        with tf.GradientTape(watch_accessed_variables=False) as fooling:
            fooling.watch(fake)
            loss_g = loss(discriminator(fake, training=True), 1.0)
        towards = fooling.gradient(loss_g, fake)
        gradients = drawing.gradient(fake, of_generator, output_gradients=towards)
        adam_g.apply_gradients(zip(gradients, of_generator, strict=True))
        return tf.stack([loss_d, loss_g])

    batches = [tf.constant(batch.transpose(0, 2, 3, 1)) for batch in ready_batches(table)]
    taken = 0

    def step() -> Any:
        nonlocal taken
        taken += 1
        return train(batches[taken % READY_BATCHES]).numpy()  # so that the clock waits for the numbers

    counts = [sum(int(tf.size(variable)) for variable in variables) for variables in (of_generator, of_discriminator)]
    return step, counts, generator, discriminator


def keras_networks(table: Table, policy: str) -> tuple[Any, Any]:
    """Generator and discriminator in NHWC: latents (N, 100) -> pictures; pictures -> logits (N, 1) in float32.

    The ends are dense layers, which are those convolutions of and to one pixel. Batch norm is a layer round
    TensorFlow's fused operation, statistics in 32 bits: Keras 3's own layer is made of small ones, and of 32 bits.
    """
    import tensorflow as tf  # pyrefly: ignore [missing-import]
    from keras import Input, Sequential, initializers, layers, mixed_precision  # pyrefly: ignore [missing-import]

    mixed_precision.set_dtype_policy(policy)

    class BatchNorm(layers.Layer):
        def build(self, shape: Any) -> None:
            def vector(first: Any, trainable: bool) -> Any:
                return self.add_weight(shape[-1:], first, "float32", trainable=trainable, autocast=False)

            self.gain, self.bias = vector(initializers.RandomNormal(1.0, 0.02), True), vector("zeros", True)
            self.mean, self.variance = vector("zeros", False), vector("ones", False)

        def call(self, x: Any, training: bool = False) -> Any:
            vectors = {"scale": self.gain, "offset": self.bias, "mean": self.mean, "variance": self.variance}
            settings = {"epsilon": 1e-5, "exponential_avg_factor": 0.1 if training else 1.0, "is_training": training}
            y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(x=x, **vectors, **settings)
            if training:
                self.mean.assign(mean)
                self.variance.assign(variance)
            return y

    def settings() -> dict[str, Any]:
        return {"use_bias": False, "kernel_initializer": initializers.RandomNormal(0.0, 0.02)}

    widths, base = ((512, 256, 128, 64), 4) if table.size == 64 else ((128, 64), 7)
    draw = [Input((100,)), layers.Dense(base * base * widths[0], **settings())]
    draw += [layers.Reshape((base, base, widths[0])), BatchNorm(), layers.ReLU()]
    for width in widths[1:]:
        draw += [layers.Conv2DTranspose(width, 4, 2, "same", **settings()), BatchNorm(), layers.ReLU()]
    draw += [layers.Conv2DTranspose(table.channels, 4, 2, "same", activation="tanh", **settings())]
    judge = [Input((table.size, table.size, table.channels))]
    judge += [layers.Conv2D(widths[-1], 4, 2, "same", **settings()), layers.LeakyReLU(0.2)]
    for width in widths[-2::-1]:
        judge += [layers.Conv2D(width, 4, 2, "same", **settings()), BatchNorm(), layers.LeakyReLU(0.2)]
    judge += [layers.Flatten(), layers.Dense(1, **settings()), layers.Activation("linear", dtype="float32")]
    return Sequential(draw), Sequential(judge)


# libraries on PyTorch, training the plain loop's own networks


def torchgan(table: Table, folder: Path) -> Built:
    """What torchgan's ``Trainer`` does for a batch, on the CPU and without TensorBoard and visdom."""
    os.environ.update(TENSORBOARD_LOGGING="0", VISDOM_LOGGING="0")
    if importlib.util.find_spec("torchvision") is None:  # which only its pictures and its metrics need
        sys.modules["torchvision"] = types.ModuleType("torchvision")
    import torch
    from plain_dcgan import LATENT  # pyrefly: ignore [missing-import] - it lies beside this script
    from torchgan import losses, models, trainer  # pyrefly: ignore [missing-import]

    gan, batches = plain_gan(table)
    taken = 0

    class Generator(models.Generator):
        def __init__(self) -> None:
            super().__init__(LATENT)
            self.net = gan.netG

        def forward(self, latents: Tensor) -> Tensor:
            return self.net(latents[:, :, None, None])

    class Discriminator(models.Discriminator):
        def __init__(self) -> None:
            super().__init__(table.channels)
            self.net = gan.netD[:-1]  # its losses take logits

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x).view(-1)

    optimizer = {"name": torch.optim.Adam, "args": {"lr": 2e-4, "betas": (0.5, 0.999)}}
    nets = {"generator": Generator, "discriminator": Discriminator}
    trained = trainer.Trainer(
        {name: {"name": net, "optimizer": optimizer} for name, net in nets.items()},
        [losses.MinimaxDiscriminatorLoss(), losses.MinimaxGeneratorLoss()],
        device=torch.device("cpu"),
        checkpoints=str(folder / "checkpoints" / "gan"),
        recon=str(folder / "pictures"),
    )
    trained.batch_size = table.batch

    def step() -> None:
        nonlocal taken
        taken += 1
        trained.real_inputs = batches[taken % READY_BATCHES]
        sums = trained.train_iter()
        for name, value in zip(("generator_losses", "discriminator_losses"), sums[:2], strict=True):
            trained.loss_information[name] += value
        for name, value in zip(("generator_iters", "discriminator_iters"), sums[2:], strict=True):
            trained.loss_information[name] += value
        trained.logger.run_mid_epoch(trained)

    return step, parameters(trained.generator, trained.discriminator)


def mimicry(table: Table, folder: Path) -> Built:
    """The two ``train_step`` of mimicry that its trainer calls, with the loss of its DCGAN."""
    # two packages whose initial imports, of data sets and TensorBoard, want what newer versions of torch lack
    top = importlib.util.find_spec("torch_mimicry")
    assert top is not None
    assert top.submodule_search_locations is not None
    for name in ("torch_mimicry", "torch_mimicry.training"):
        package = sys.modules[name] = types.ModuleType(name)
        package.__path__ = [str(Path(place, *name.split(".")[1:])) for place in top.submodule_search_locations]
    import torch
    from plain_dcgan import LATENT, WIDTH  # pyrefly: ignore [missing-import] - it lies beside this script
    from torch_mimicry.nets.gan import gan as bases  # pyrefly: ignore [missing-import]
    from torch_mimicry.training.metric_log import MetricLog  # pyrefly: ignore [missing-import]

    gan, batches = plain_gan(table)
    taken = 0

    class Generator(bases.BaseGenerator):
        def __init__(self) -> None:
            super().__init__(nz=LATENT, ngf=WIDTH, bottom_width=4, loss_type="ns")
            self.net = gan.netG

        def forward(self, latents: Tensor) -> Tensor:
            return self.net(latents[:, :, None, None])

    class Discriminator(bases.BaseDiscriminator):
        def __init__(self) -> None:
            super().__init__(ndf=WIDTH, loss_type="ns")
            self.net = gan.netD[:-1]  # its losses take logits

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x).view(-1, 1)

    generator, discriminator = Generator(), Discriminator()
    labels = torch.zeros(table.batch, dtype=torch.long)  # which it hands on and does not use

    def step() -> None:
        nonlocal taken
        taken += 1
        turn = {"real_batch": (batches[taken % READY_BATCHES], labels), "log_data": MetricLog()}
        discriminator.train_step(netG=generator, optD=gan.optimizerD, device=torch.device("cpu"), **turn)
        generator.train_step(netD=discriminator, optG=gan.optimizerG, device=torch.device("cpu"), **turn)

    return step, parameters(generator, discriminator)
