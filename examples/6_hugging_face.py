"""Trains with Hugging Face's Trainer, stops in mid-epoch, and goes on from its checkpoint: no row is lost, none comes twice.

    pip install transformers accelerate
    python examples/6_hugging_face.py build/demo-table
"""
import json
import sys
import tempfile
from pathlib import Path

import torch
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.utils import logging

import dpp

table = dpp.Table(sys.argv[1])
dense = [feature.name for feature in table.features if feature.kind == "dense" and feature.name != "label"]
plan = dpp.Plan(
    dense={name: dpp.col(name).fill_null(0).clamp(min=0).log1p() for name in dense},
    labels=dpp.col("label"),
    extras=dpp.row_id(),
)


class Clicks(torch.nn.Module):
    """A logistic model over dense values, called as the Trainer calls models: with named tensors."""

    def __init__(self):
        super().__init__()
        self.dense = torch.nn.Linear(len(dense), 1)
        self.rows = []

    def forward(self, dense, labels, row_id):
        self.rows += row_id.tolist()
        logits = self.dense(dense)
        return {"loss": torch.nn.functional.binary_cross_entropy_with_logits(logits, labels), "logits": logits}


class RankTrainer(Trainer):
    """A Trainer that takes whole batches from a loader, which knows its rank by itself."""

    def get_train_dataloader(self):
        return torch.utils.data.DataLoader(self.train_dataset, batch_size=None, collate_fn=named)


def named(batch):
    """A batch as the model's named inputs."""
    return {"dense": batch.dense, "labels": batch.labels, "row_id": batch.extras["row_id"]}


class SaveLoader(TrainerCallback):
    """Puts the loader's state into every checkpoint of the Trainer."""

    def __init__(self, loader):
        self.loader = loader

    def on_save(self, arguments, state, control, **_):
        folder = Path(arguments.output_dir) / f"checkpoint-{state.global_step}"
        (folder / "dpp.json").write_text(json.dumps(self.loader.state_dict()))


def fit(folder, steps, checkpoint=None):
    """Trains up to step `steps`, from a checkpoint if there is one; returns the rows that it learned from."""
    arguments = TrainingArguments(
        folder, max_steps=steps, save_steps=7, learning_rate=0.05, use_cpu=True, report_to="none", logging_strategy="no",
        disable_tqdm=True, remove_unused_columns=False, save_strategy="steps",
        ignore_data_skip=True,  # the loader stands where it was: the Trainer must not skip batches to get there
    )
    # After the arguments, which start the ranks, so that the loader finds its own.
    loader = dpp.DataLoader(table, plan, batch_size=256, shuffle=True, seed=1)
    if checkpoint is not None:
        loader.load_state_dict(json.loads((checkpoint / "dpp.json").read_text()))
    model = Clicks()
    trainer = RankTrainer(model, arguments, train_dataset=loader, callbacks=[SaveLoader(loader)])
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    return model.rows


logging.set_verbosity_error()
with tempfile.TemporaryDirectory() as folder:
    steps = -(-table.num_rows // 256)
    saved = steps // 2 // 7 * 7
    first = fit(folder, saved + 3)
    print(f"stopped after {len(first):,} of {table.num_rows:,} rows; the checkpoint in mid-epoch has {saved * 256:,}")
    second = fit(folder, steps, Path(folder) / f"checkpoint-{saved}")

print(f"went on with {len(second):,} rows")
is_once = sorted(first[: saved * 256] + second) == list(range(table.num_rows))
print("every row once" if is_once else "rows were lost or came twice")
sys.exit(0 if is_once else 1)
