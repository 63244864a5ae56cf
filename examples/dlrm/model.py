"""A small DLRM: dense features meet embeddings of sparse ones in dot products of every pair.

Takes a dpp.Batch, returns one logit a row. All sparse keys share one table of embeddings,
each with its own `buckets` rows, so that a batch costs a single lookup.
"""
import torch
from torch import nn


class Dlrm(nn.Module):
    """`num_dense` columns and `num_sparse` keys in; ids must lie in [0, buckets)."""

    def __init__(self, num_dense, num_sparse, buckets, dim=16, seed=0):
        super().__init__()
        self.num_sparse, self.buckets, self.dim = num_sparse, buckets, dim
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.scale = nn.BatchNorm1d(num_dense) if num_dense else None
            self.bottom = mlp(num_dense, 32, dim) if num_dense else None
            self.embedding = nn.EmbeddingBag(num_sparse * buckets, dim, mode="sum", sparse=True)
            nn.init.normal_(self.embedding.weight, std=0.05)
            vectors = num_sparse + bool(num_dense)
            self.register_buffer("pairs", torch.triu_indices(vectors, vectors, offset=1), persistent=False)
            self.top = mlp(vectors * dim + self.pairs.shape[1], 64, 1)

    def forward(self, batch):
        """Logits, float32 [rows]."""
        vectors = self.embed(batch.sparse, batch.num_rows)
        if self.bottom is not None:
            dense = self.bottom(self.scale(batch.dense))
            vectors = torch.cat([vectors, dense.unsqueeze(1)], dim=1)
        left, right = self.pairs
        dots = (vectors @ vectors.transpose(1, 2))[:, left, right]
        return self.top(torch.cat([vectors.flatten(1), dots], dim=1)).squeeze(1)

    def embed(self, sparse, rows):
        """One vector for each row and key, [rows, keys, dim]: a mean over ids, or a sum weighted by their scores.

        No ids give zeros. `sparse` is key-major: bag k * rows + r holds the ids of key k in row r.
        """
        lengths = sparse.lengths.long()
        ends = lengths.cumsum(0)
        bags = torch.arange(len(lengths)).repeat_interleave(lengths)
        ids = sparse.values + bags // rows * self.buckets
        weights = torch.ones(len(ids)) if sparse.weights is None else sparse.weights
        sums = self.embedding(ids, ends - lengths, per_sample_weights=weights)
        totals = torch.zeros(len(lengths)).index_add(0, bags, weights)
        means = sums / totals.clamp(min=1.0).unsqueeze(1)
        return means.view(self.num_sparse, rows, self.dim).transpose(0, 1)

    def optimizers(self):
        """AdamW for what every batch touches, Adagrad for the embeddings, of which each touches few."""
        others = [p for name, p in self.named_parameters() if name != "embedding.weight"]
        return [
            torch.optim.AdamW(others, lr=2e-3, weight_decay=1e-2),
            torch.optim.Adagrad([self.embedding.weight], lr=0.05),
        ]


def mlp(inputs, hidden, outputs):
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))
