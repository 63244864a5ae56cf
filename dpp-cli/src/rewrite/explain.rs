//! Why encodings were chosen, as a table.

use std::fmt::Write as _;

use dpp_table::{ColumnEncoding, Measured};

use crate::output;

/// For each kind and encoding: stored bytes of the sample, time to decode, and the columns that got it. With a line end.
pub(super) fn table(measured: &Measured) -> String {
    let mut text = format!(
        "{:<28} {:<24} {:>12} {:>12} {:>8}\n",
        "kind, stored as", "encoding", "sample", "ns/value", "columns"
    );
    for (kind, encodings) in measured {
        for (encoding, measured) in encodings {
            writeln!(
                text,
                "{kind:<28} {:<24} {:>12} {:>12.2} {:>8}",
                name(*encoding),
                output::bytes(measured.stored_bytes),
                measured.decode_ns_per_value,
                output::count(measured.chosen),
            )
            .expect("text takes everything");
        }
    }
    text.push_str("each column has the encoding whose seconds to decode and to fetch (at 200 MB/s) are fewest\n\n");
    text
}

fn name(encoding: ColumnEncoding) -> &'static str {
    match encoding {
        ColumnEncoding::Plain => "plain",
        ColumnEncoding::Dictionary => "dictionary",
        ColumnEncoding::DeltaBinaryPacked => "delta_binary_packed",
        ColumnEncoding::DeltaLengthByteArray => "delta_length_byte_array",
        ColumnEncoding::ByteStreamSplit => "byte_stream_split",
    }
}
