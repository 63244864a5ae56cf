"""`plan.check(table, sizes)`: ids of every sparse output have a row in the model's tables, or the error says which not."""

from __future__ import annotations

import pytest
import torch

import dpp


def check(small, expression: dpp.Expr, size: int) -> None:
    dpp.Plan(sparse={"x": expression}).check(dpp.Table(small.url), {"x": size})


IDS = dpp.col("C1")

FITTING = [
    (IDS.sigrid_hash(salt=1, max_value=50), 50),
    (IDS.sigrid_hash(salt=1, max_value=50).first_x(3), 50),
    (dpp.col("S1").positive_modulus(50).sort_by_score().drop_scores(), 50),
    (IDS.clamp_list(lo=0, hi=49), 50),
    (IDS.map_id(table=[3, 49, 7]), 50),
    (IDS.positive_modulus(30).offset(20), 50),
    (dpp.col("I1").bucketize([1, 2, 3]), 4),
    (dpp.intersect(IDS.positive_modulus(50), dpp.col("C2")), 50),
    (dpp.categorical_ngram([IDS, dpp.col("C2")], limits=[5, 10]), 50),
]


@pytest.mark.parametrize("expression, least", FITTING, ids=[str(expression) for expression, _ in FITTING])
def test_the_least_size_fits_and_no_smaller(small, expression, least):
    check(small, expression, least)
    check(small, expression, least + 1)
    with pytest.raises(dpp.InvalidRequest, match=f"'x' has ids up to {least - 1} after .* its table only {least - 1} rows"):
        check(small, expression, least - 1)


def test_ids_without_bound_are_refused(small):
    for expression in [IDS, IDS.first_x(2), dpp.col("ts").to_ids(), dpp.union(IDS, dpp.col("C2")), IDS.ngram(2)]:
        with pytest.raises(dpp.InvalidRequest, match=r"'x' has ids of any size after .*sigrid_hash\(max_value=9\)"):
            check(small, expression, 9)
    for expression in [IDS.clamp_list(lo=-3, hi=5), IDS.positive_modulus(5).offset(-3)]:
        with pytest.raises(dpp.InvalidRequest, match="'x' has ids down to -3 after"):
            check(small, expression, 9)


def test_every_output_has_a_size_and_every_size_an_output(small):
    table, plan = dpp.Table(small.url), dpp.Plan(sparse=dpp.cols("C*").positive_modulus(8))
    plan.check(table, {"C1": 8, "C2": 8})
    with pytest.raises(dpp.InvalidRequest, match="sparse output 'C2' has no size; those with one are C1"):
        plan.check(table, {"C1": 8})
    with pytest.raises(dpp.InvalidRequest, match="sizes name 'C9', which is no sparse output; those are C1, C2"):
        plan.check(table, {"C1": 8, "C2": 8, "C9": 8})
    for wrong in ({"C1": "8"}, 8, torch.nn.Linear(2, 2)):
        with pytest.raises(dpp.InvalidRequest, match="sizes|no TorchRec"):
            plan.check(table, wrong)


@pytest.mark.filterwarnings("ignore")  # torchrec's own
def test_the_tables_of_a_torchrec_model(small):
    try:
        from torchrec import EmbeddingBagCollection, EmbeddingBagConfig, EmbeddingCollection, EmbeddingConfig
    except Exception as error:  # its libraries fit one torch, and fail in their own ways with others
        pytest.skip(f"NOT TESTED: TorchRec's collections: {error!r}")
    table, plan = dpp.Table(small.url), dpp.Plan(sparse=dpp.cols("C*").positive_modulus(8))

    def model(first: int, second: int) -> torch.nn.Module:
        bags = [EmbeddingBagConfig(name="a", embedding_dim=4, num_embeddings=first, feature_names=["C1"])]
        plain = [EmbeddingConfig(name="b", embedding_dim=4, num_embeddings=second, feature_names=["C2"])]
        meta = torch.device("meta")
        return torch.nn.Sequential(EmbeddingBagCollection(bags, device=meta), EmbeddingCollection(plain, device=meta))

    plan.check(table, model(8, 9))
    with pytest.raises(dpp.InvalidRequest, match="'C2' has ids up to 7 after positive_modulus, its table only 7 rows"):
        plan.check(table, model(8, 7))
