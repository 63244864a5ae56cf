//! What of a read is traced, for who collects spans. Numbers are signed, since OpenTelemetry knows no others.

use dpp_proto::v1::{ReadRequest, ReadSummary};
use tracing::{Span, field};

/// A read, from when it is asked for to when its frames are taken.
pub(super) fn read(request: &ReadRequest) -> Span {
    tracing::debug_span!(
        "read",
        job = %request.job_hash,
        run = %request.run,
        file = request.file.as_ref().map(|file| file.path.as_str()),
        from_row = request.from_row.cast_signed(),
        to_row = request.to_row.cast_signed(),
        rows = field::Empty,
        bytes = field::Empty,
        requests = field::Empty,
        sent_bytes = field::Empty,
    )
}

/// What the current read, which ends, has done: its rows are those of the frames that it sent, of `sent_bytes`.
pub(super) fn done(summary: &ReadSummary, sent_bytes: u64) {
    let span = Span::current();
    span.record("rows", summary.rows.cast_signed());
    span.record("bytes", summary.read_bytes.cast_signed());
    span.record("requests", summary.requests.cast_signed());
    span.record("sent_bytes", sent_bytes.cast_signed());
}

/// A part of a read, which does something to `bytes`.
pub(super) fn bytes(span: &Span, bytes: u64) {
    span.record("bytes", bytes.cast_signed());
}

/// A part of a read, which does something to `rows`.
pub(super) fn rows(span: &Span, rows: u64) {
    span.record("rows", rows.cast_signed());
}
