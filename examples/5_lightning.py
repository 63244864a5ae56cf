"""Trains with Lightning, stops in mid-epoch, and goes on from Lightning's own checkpoint: no row is lost, none comes twice.

    pip install lightning
    python examples/5_lightning.py build/demo-table
"""
import logging
import sys
import tempfile
import warnings

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

import dpp

IDS = 1000

table = dpp.Table(sys.argv[1])
dense = [feature.name for feature in table.features if feature.kind == "dense" and feature.name != "label"]
lists = [feature.name for feature in table.features if feature.kind == "id_list"][:3]
plan = dpp.Plan(
    dense={name: dpp.col(name).fill_null(0).clamp(min=0).log1p() for name in dense},
    sparse={name: dpp.col(name).first_x(10).sigrid_hash(salt=0, max_value=IDS) for name in lists},
    labels=dpp.col("label"),
    extras=dpp.row_id(),
)


def make_loader():
    return dpp.DataLoader(table, plan, batch_size=256, shuffle=True, seed=1)


class Clicks(lightning.LightningModule):
    """A logistic model over dense values and the sum of each list's embeddings."""

    def __init__(self):
        super().__init__()
        self.dense = torch.nn.Linear(len(dense), 1)
        self.lists = torch.nn.ModuleDict({name: torch.nn.EmbeddingBag(IDS, 1, mode="sum") for name in lists})
        self.rows = []

    def train_dataloader(self):
        return make_loader()  # made here, where Lightning has started the ranks, so that it finds its own

    def training_step(self, batch, _):
        self.rows += batch.extras["row_id"].tolist()
        logits = self.dense(batch.dense)
        for name, bag in self.lists.items():
            ids = batch.sparse[name]
            logits = logits + bag(ids.values, ids.offsets[:-1])
        return torch.nn.functional.binary_cross_entropy_with_logits(logits, batch.labels)

    def configure_optimizers(self):
        return torch.optim.Adagrad(self.parameters(), lr=0.05)


def fit(folder, **settings):
    """Trains until `settings` say stop; a checkpoint every 7 steps holds the loader's state beside the model's."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    checkpoint = settings.pop("checkpoint", None)
    saver = ModelCheckpoint(folder, filename="{step}", every_n_train_steps=7, save_top_k=-1)
    trainer = lightning.Trainer(accelerator="cpu", devices=1, logger=False, callbacks=[saver],
                                enable_progress_bar=False, enable_model_summary=False, **settings)
    model = Clicks()
    trainer.fit(model, ckpt_path=checkpoint)
    return model, saver.best_model_path


with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Lightning's advice on worker processes, which this loader does not need
    steps = len(make_loader())
    first, checkpoint = fit(folder, max_steps=steps // 2 // 7 * 7 + 3, max_epochs=1)
    saved = steps // 2 // 7 * 7 * 256
    print(f"stopped after {len(first.rows):,} of {table.num_rows:,} rows; the last checkpoint has {saved:,}")
    second, _ = fit(folder, checkpoint=checkpoint, max_epochs=1)

print(f"went on with {len(second.rows):,} rows")
is_once = sorted(first.rows[:saved] + second.rows) == list(range(table.num_rows))
print("every row once" if is_once else "rows were lost or came twice")
sys.exit(0 if is_once else 1)
