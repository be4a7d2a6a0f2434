"""Distribute training over one device, this machine's GPUs, several machines or a TPU, with `tf.distribute`.

Every replica has a copy of the weights and computes its part of each batch. All replicas apply the sum of their
gradients, so that the result equals that of one device with the same batch. Only the chief worker writes files.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rac_unet.core.config import RunConfig
from rac_unet.core.errors import UserError, one_line

TF_CONFIG_EXAMPLE = (
    'TF_CONFIG=\'{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, "task": {"type": "worker", "index": 0}}\''
)


@dataclass(frozen=True)
class Distribution:
    """The devices of a training.

    Attributes:
        kind: one, mirrored, multi_worker or tpu.
        strategy: the `tf.distribute.Strategy`; the default strategy for a single device.
        worker: index of this process; 0 is the chief.
        workers: number of processes.
        local_replicas: number of devices of this process.
    """

    kind: str
    strategy: Any
    worker: int = 0
    workers: int = 1
    local_replicas: int = 1

    @property
    def replicas(self) -> int:
        """Total number of devices."""
        return self.workers * self.local_replicas

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the run's files."""
        return self.worker == 0

    @property
    def description(self) -> str:
        """Description for the log, such as `mirrored, 2 devices`."""
        if self.replicas == 1:
            return "one device"
        machines = f" of {self.workers} workers, this is worker {self.worker}" if self.workers > 1 else ""
        return f"{self.kind}, {self.replicas} devices{machines}"

    def wait_for_all(self) -> None:
        """Block until every worker has called this."""
        import tensorflow as tf

        @tf.function
        def meet():
            def on_replica():
                return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.ones([]))

            return self.strategy.run(on_replica)

        meet()


def make_distribution(name: str, replicas: int = 0) -> Distribution:
    """Create the distribution; call it before TensorFlow has computed anything.

    Args:
        name: auto, one, mirrored, multi_worker or tpu.
        replicas: number of devices of this machine, 0 for all.
    Raises: UserError when the devices are not available.
    """
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if name == "auto":
        name = _automatic(len(gpus), replicas)
    if name == "one":
        if replicas > 1:
            raise UserError(f"--training.strategy one uses one device, not {replicas}; use mirrored", "usage")
        return Distribution("one", tf.distribute.get_strategy())
    if name == "multi_worker":
        if replicas:
            raise UserError(
                "--training.replicas applies to one machine; multi_worker uses all GPUs of each: omit it", "usage"
            )
        return _multi_worker()
    if name == "tpu":
        return _tpu()
    return _mirrored(gpus, replicas)


def scale_to_replicas(config: RunConfig, replicas: int) -> RunConfig:
    """Apply `training.scaling` to batch size and learning rate, and set it to none.

    The returned config then means the same on any number of devices.
    Raises: UserError when the batch cannot be divided evenly.
    """
    from dataclasses import replace

    training, optimizer = config.training, config.optimizer
    if training.scaling != "none":
        factor = replicas if training.scaling == "linear" else replicas**0.5
        optimizer = replace(optimizer, learning_rate=optimizer.learning_rate * factor)
        training = replace(training, batch_size=training.batch_size * replicas, scaling="none")
    config = replace(config, training=training, optimizer=optimizer)
    refuse_uneven_batch(config, replicas)
    return config


def refuse_uneven_batch(config: RunConfig, replicas: int) -> None:
    """Raise UserError when a batch cannot be divided so that the result equals that of one device.

    Each device needs the same number of pairs; with mixup, which blends pairs 0 and 1, 2 and 3 and so on, an even one.
    """
    batch_size, data = config.training.batch_size, config.data
    mixes = replicas > 1 and data.augment and data.mixup > 0
    unit = replicas * (2 if mixes else 1)
    if batch_size % unit:
        lower, upper = batch_size // unit * unit, -(-batch_size // unit) * unit
        near = f"{lower} or {upper}" if lower else f"{upper}"
        even = batch_size % replicas == 0
        why = " into even numbers of pairs, which --data.mixup needs" if even else " evenly"
        raise UserError(
            f"a batch of {batch_size} cannot be divided by {replicas} devices{why}; use --training.batch_size {near}, "
            f"{'another number of devices, or --data.mixup 0' if even else 'or fewer devices'}",
            "mismatch",
        )


def _automatic(gpus: int, replicas: int) -> str:
    cluster = _cluster(required=False)
    if cluster and len(cluster[0]) > 1:
        return "multi_worker"
    # Kaggle's and Google's TPU machines set these; searching for a TPU on other machines takes minutes.
    tpu = any(map(os.environ.get, ("TPU_NAME", "TPU_ACCELERATOR_TYPE"))) or Path("/dev/accel0").exists()
    if tpu and not gpus:
        return "tpu"
    return "mirrored" if (replicas or gpus) > 1 else "one"


def _mirrored(gpus: list, replicas: int) -> Distribution:
    import tensorflow as tf

    if gpus:
        count = replicas or len(gpus)
        if count > len(gpus):
            raise UserError(f"--training.replicas {count}: this machine has {len(gpus)} GPUs", "device")
        devices = [f"/gpu:{i}" for i in range(count)]
    else:
        count = replicas or 1
        _split_processor(count)
        devices = [f"/cpu:{i}" for i in range(count)]
    if count == 1:
        return Distribution("one", tf.distribute.get_strategy())
    return Distribution("mirrored", tf.distribute.MirroredStrategy(devices), local_replicas=count)


def _split_processor(count: int) -> None:
    """Create `count` logical CPUs, which share the machine's threads."""
    import tensorflow as tf

    processor = tf.config.list_physical_devices("CPU")[0]
    try:
        if len(tf.config.get_logical_device_configuration(processor) or []) != count:
            wanted = [tf.config.LogicalDeviceConfiguration() for _ in range(count)]
            tf.config.set_logical_device_configuration(processor, wanted)
    except RuntimeError:
        # TensorFlow has already started to compute, and the number of devices is fixed.
        if len(tf.config.list_logical_devices("CPU")) < count:
            raise UserError(
                f"--training.replicas {count}: TensorFlow has already started in this process with fewer logical CPUs; "
                "start a new process",
                "device",
            ) from None


def _multi_worker() -> Distribution:
    import tensorflow as tf

    workers, index = _cluster(required=True)
    options = tf.distribute.experimental.CommunicationOptions()
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)
    except (RuntimeError, ValueError, tf.errors.OpError) as error:
        raise UserError(
            f"the workers cannot connect ({one_line(error)}); TF_CONFIG names {', '.join(workers)}: start all of them, "
            "each with its own index, and check that the ports are open",
            "device",
        ) from None
    local = strategy.num_replicas_in_sync // len(workers)
    return Distribution("multi_worker", strategy, index, len(workers), local)


def _cluster(required: bool) -> tuple[list[str], int] | None:
    """Return the workers' addresses and this worker's index from TF_CONFIG; None if it is not set."""
    text = os.environ.get("TF_CONFIG")
    if not text:
        if required:
            raise UserError(
                f"--training.strategy multi_worker needs TF_CONFIG in the environment of every worker, such as "
                f"{TF_CONFIG_EXAMPLE}",
                "usage",
            )
        return None
    try:
        values = json.loads(text)
        workers, task = values["cluster"]["worker"], values.get("task", {})
        index = int(task.get("index", 0))
        if set(values["cluster"]) != {"worker"} or task.get("type") != "worker" or not 0 <= index < len(workers):
            raise ValueError
        return list(workers), index
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(
            f"TF_CONFIG is not valid: {text}; expected, for example, {TF_CONFIG_EXAMPLE}", "bad_value"
        ) from None


def _tpu() -> Distribution:
    import tensorflow as tf

    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu="local")
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        strategy = tf.distribute.TPUStrategy(resolver)
    except Exception as error:  # the resolver, the runtime and a missing libtpu raise different classes
        raise UserError(
            f"no TPU is available ({one_line(error)}); use a TPU machine with TensorFlow's build for it "
            "(tensorflow-tpu), or another --training.strategy",
            "device",
        ) from None
    return Distribution("tpu", strategy, local_replicas=strategy.num_replicas_in_sync)
