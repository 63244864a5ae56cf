use proptest::prelude::*;

use super::*;
use crate::{keda, v1};

fn weight(message: &str, bytes: &[u8]) -> u64 {
    let path = match message {
        "job" => "/dpp.v1.Worker/OpenJob",
        "read" => "/dpp.v1.Worker/Read",
        other => other,
    };
    WEIGHTS.weigh(WEIGHTS.request(path).unwrap(), bytes, u64::MAX)
}

#[test]
fn no_struct_is_larger_than_it_is_said_to_be() {
    let files = FileDescriptorSet::decode(DESCRIPTORS).unwrap();
    let mut messages = Vec::new();
    for file in &files.file {
        let package = format!(".{}", file.package());
        for message in &file.message_type {
            collect(&package, message, &mut messages);
        }
    }
    let own = |name: &str| {
        let at = messages.iter().position(|(known, _)| known == name);
        WEIGHTS.shapes[at.unwrap()].own_bytes
    };
    macro_rules! check {
        ($($package:literal $module:ident: $($message:ident)*;)*) => {$($(
            let name = concat!(".", $package, ".", stringify!($message));
            assert!(own(name) >= size_of::<$module::$message>() as u64, "{name}");
        )*)*};
    }
    check! {
        "dpp.v1" v1: Plan Node Op Parameter Value IntegerList RealList ByFeature Output Feature Pattern RowId Predicate Predicates
            Sample Comparison TableSource FeatureName StorageOption Snapshot SnapshotFile Schema DescribeRequest Job Run
            OpenJobRequest ReadRequest Shuffle StatsRequest HeartbeatRequest RunWork ListWorkersRequest RankReport StallSeconds
            DrainRequest;
        "externalscaler" keda: ScaledObjectRef GetMetricsRequest;
    }
}

#[test]
fn small_bytes_that_become_large_structs_weigh_what_these_take() {
    let plan = v1::Plan {
        nodes: vec![v1::Node::default(); 10_000],
        ..Default::default()
    };
    let held = plan.nodes.capacity() * size_of::<v1::Node>();
    let job = v1::Job {
        plan: Some(plan),
        ..Default::default()
    };
    let request = v1::OpenJobRequest {
        job: Some(job),
        run: None,
    };
    let bytes = request.encode_to_vec();
    let weight = weight("job", &bytes);
    assert!(bytes.len() < 20_100, "two bytes a node");
    assert!(
        weight >= held as u64 && weight < 4 * held as u64,
        "{weight}"
    );
    let kind = WEIGHTS.request("/dpp.v1.Worker/OpenJob").unwrap();
    let enough = WEIGHTS.weigh(kind, &bytes, 10_000);
    assert!((10_001..20_000).contains(&enough), "{enough}");
}

#[test]
fn numbers_are_counted_packed_and_not() {
    let request = v1::ReadRequest {
        selection: (0..100_000).collect(),
        ..Default::default()
    };
    let packed = weight("read", &request.encode_to_vec());
    let one_by_one = weight("read", &[8 << 3, 1].repeat(100_000));
    for weight in [packed, one_by_one] {
        assert!((1_600_000..1_700_000).contains(&weight), "{weight}");
    }
}

#[test]
fn conditions_within_conditions_end_where_decoding_does() {
    // Plan.row_filter, then `not` within `not`
    let deep = (0..100_000).fold(Vec::new(), |inner: Vec<u8>, level| {
        if level > 200 {
            return inner;
        }
        let mut outer = vec![4 << 3 | 2];
        prost::encoding::encode_varint(inner.len() as u64, &mut outer);
        [outer, inner].concat()
    });
    let mut bytes = deep;
    for tag in [9_u8, 3, 1] {
        let mut outer = vec![tag << 3 | 2];
        prost::encoding::encode_varint(bytes.len() as u64, &mut outer);
        bytes = [outer, bytes].concat();
    }
    assert!(v1::OpenJobRequest::decode(&*bytes).is_err());
    let weight = weight("job", &bytes);
    assert!((1000..100_000).contains(&weight), "{weight}");
}

proptest! {
    #[test]
    fn any_bytes_have_a_weight(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        for path in WEIGHTS.requests.keys() {
            let weight = weight(path, &bytes);
            prop_assert!(weight < 400 * 4 * 600 + 2000, "{path} {weight}");
        }
    }
}
