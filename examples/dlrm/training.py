"""One run: rows from a loader into a model, measured on the way; then the held-out rows.

The same function trains on-box and through workers: only `service` differs.
"""
from dataclasses import dataclass
from time import perf_counter

import torch
from torch.nn.functional import binary_cross_entropy_with_logits as log_loss

import dpp

from .checksum import Checksum
from .job import BUCKETS
from .model import Dlrm
from .progress import Progress

BATCH_SIZE = 1024
EPOCHS = 2


@dataclass
class Run:
    """What a run measured. Losses and AUC are of the held-out rows."""

    name: str
    rows: int = 0
    seconds: float = 0.0
    first_batch_seconds: float = 0.0
    stall_seconds: float = 0.0
    loss_before: float = 0.0
    loss_after: float = 0.0
    auc: float = 0.0
    checksum: str = ""


def train(name, job, service=None, in_mid_epoch=lambda: None):
    """Trains a fresh model for some epochs and judges it; calls `in_mid_epoch` halfway through the first one."""
    run, checksum = Run(name), Checksum()
    model = Dlrm(job.num_dense, job.num_sparse, BUCKETS)
    optimizers = model.optimizers()
    started = perf_counter()
    with dpp.DataLoader(job.earlier, job.plan, batch_size=BATCH_SIZE, service=service, name=name) as loader:
        progress = Progress(name, steps=EPOCHS * len(loader))
        for step, batch in enumerate(timed(loader, run)):
            checksum.add(batch)
            loss = learn(model, optimizers, batch)
            run.rows += batch.num_rows
            progress.show(step + 1, run.rows, loss)
            if step == len(loader) // 2:
                in_mid_epoch()
    run.seconds = perf_counter() - started
    progress.close()
    judge(model, job, service, run, checksum)
    run.checksum = checksum.hexdigest()
    return run


def timed(loader, run):
    """The batches of all epochs; time spent waiting for the first goes to one counter, for all others to another."""
    started = perf_counter()
    for _ in range(EPOCHS):
        batches = iter(loader)
        while (batch := next(batches, None)) is not None:
            waited = perf_counter() - started
            if run.rows == 0:
                run.first_batch_seconds = waited
            else:
                run.stall_seconds += waited
            yield batch
            started = perf_counter()


def learn(model, optimizers, batch):
    """One step of training; the loss before it."""
    loss = log_loss(model(batch), batch.labels[:, 0])
    for optimizer in optimizers:
        optimizer.zero_grad()
    loss.backward()
    for optimizer in optimizers:
        optimizer.step()
    return loss.item()


@torch.no_grad()
def judge(model, job, service, run, checksum):
    """Predicts the held-out rows with the trained model, and with a fresh one to compare."""
    fresh = Dlrm(job.num_dense, job.num_sparse, BUCKETS).eval()
    model.eval()
    before, after, labels = [], [], []
    with dpp.DataLoader(job.later, job.plan, batch_size=8 * BATCH_SIZE, service=service, name=f"{run.name} held out") as loader:
        for batch in loader:
            checksum.add(batch)
            before.append(fresh(batch))
            after.append(model(batch))
            labels.append(batch.labels[:, 0].clone())
    labels = torch.cat(labels)
    run.loss_before = log_loss(torch.cat(before), labels).item()
    run.loss_after = log_loss(torch.cat(after), labels).item()
    run.auc = auc(torch.cat(after), labels)


def auc(scores, labels):
    """How often a positive row scores above a negative one, ties counting half: from the mean rank of the positives."""
    _, value, counts = scores.double().unique(return_inverse=True, return_counts=True)
    ranks = (counts.cumsum(0) - (counts - 1) / 2)[value]
    positives = labels.sum().item()
    negatives = len(labels) - positives
    wins = ranks[labels > 0].sum().item() - positives * (positives + 1) / 2
    return wins / (positives * negatives)
