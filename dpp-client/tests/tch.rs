//! A batch's tensors in libtorch: the values of its rows, at the addresses of its buffers.

#![expect(clippy::unwrap_used, reason = "a test")]

#[path = "loader/table.rs"]
#[expect(dead_code, reason = "the loader's tests use all of it")]
mod table;

use dpp_client::{Loader, Place, Settings};
use tch::{Kind, Tensor};

use self::table::{TestTable, plan};

fn numbers<T>(tensor: &Tensor) -> Vec<T>
where
    Vec<T>: TryFrom<Tensor, Error = tch::TchError>,
{
    tensor.flatten(0, -1).try_into().unwrap()
}

#[tokio::test]
async fn tensors_are_the_batchs_own_memory() {
    let table = TestTable::write(&[50]);
    let on_box = Place::OnBox {
        threads: Some(1),
        keys: None,
    };
    let settings = Settings::default();
    let mut loader = Loader::open(on_box, table.source(), plan(), settings)
        .await
        .unwrap();
    let batch = loader.start_epoch().next().await.unwrap().unwrap();
    let tensors = batch.tensors.clone();
    #[expect(
        unsafe_code,
        reason = "tensors are read only, and die with `torch` below"
    )]
    // SAFETY: no tensor is written to, and none leaves this function.
    let torch = unsafe { batch.to_tch() };
    drop(batch); // the tensors keep the buffers
    assert_eq!((torch.rows(), torch.dense().size()), (50, vec![50, 1]));
    assert_eq!(
        torch.dense().data_ptr().cast_const().cast(),
        tensors.dense.as_ptr()
    );
    assert_eq!(
        numbers::<f32>(torch.dense()),
        tensors.dense.typed_data::<f32>()
    );
    assert_eq!(torch.labels().size(), [50, 0]);
    assert_eq!(
        numbers::<i32>(torch.lengths()),
        tensors.sparse.lengths.typed_data::<i32>()
    );
    assert_eq!(
        numbers::<i64>(torch.values()),
        tensors.sparse.values.typed_data::<i64>()
    );
    assert!(torch.weights().is_none() && torch.vectors().is_empty());
    let [row_id, name] = torch.extras() else {
        panic!("two extras")
    };
    assert_eq!(
        numbers::<i64>(&row_id.values),
        (0..50).collect::<Vec<i64>>()
    );
    let total = name.lengths.as_ref().unwrap().sum(Kind::Int64);
    assert_eq!(name.values.size(), [i64::try_from(total).unwrap()]);
    let doubled = torch.dense() * 2.0; // a tensor of its own
    drop(torch);
    assert_eq!(
        f64::try_from(doubled.sum(Kind::Float)).unwrap(),
        2.0 * tensors
            .dense
            .typed_data::<f32>()
            .iter()
            .map(|&x| f64::from(x))
            .sum::<f64>()
    );
}
