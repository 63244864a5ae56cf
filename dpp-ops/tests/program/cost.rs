//! What ops cost is counted by op, and running for it changes nothing.

use dpp_ops::{
    Plan, Program,
    program::{OpCost, PACKING},
};
use proptest::{collection::vec, prelude::*};

use crate::{
    PLAN,
    columns::{any_row, batch, row_ids, schema},
};

/// Costs by a clock that goes on by one each time it is read.
fn costs(program: &Program, rows: &[crate::columns::Row]) -> Vec<OpCost> {
    let mut seconds = 0.0;
    let mut now = || {
        seconds += 1.0;
        seconds
    };
    let batch = batch(program, rows);
    program
        .costs(&batch, &row_ids(0..rows.len()), &mut now)
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_op_of_the_plan_is_counted(rows in vec(any_row(), 0..60)) {
        let plan = Plan::from_json(PLAN).unwrap();
        let program = Program::as_written(&plan, &schema()).unwrap();
        let found = costs(&program, &rows);
        let op = |name: &str| found.iter().find(|cost| cost.op == name).unwrap();
        let count = rows.len() as u64;
        for (name, columns) in [("fill_null", 2), ("first_x", 2), ("z_score", 1), ("sigrid_hash", 2)] {
            let cost = op(name);
            // a reading of the clock a column
            prop_assert_eq!((cost.columns, cost.rows, cost.seconds), (columns, columns as u64 * count, columns as f64));
        }
        prop_assert_eq!(op("z_score").bytes, 4 * count);
        let (last, ops) = found.split_last().unwrap();
        prop_assert_eq!((last.op.as_str(), last.rows), (PACKING, count));
        prop_assert!(ops.iter().all(|cost| cost.op != PACKING));
        let packed = program.run(&batch(&program, &rows), &row_ids(0..rows.len())).unwrap();
        prop_assert_eq!(last.bytes, packed.byte_size() as u64);
    }
}
