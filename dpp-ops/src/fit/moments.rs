//! Mean and standard deviation, value by value.

/// Of the values so far, by Welford's recurrence: no cancellation, whatever their size.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moments {
    values: u64,
    mean: f64,
    /// Σ (x − mean)².
    squares: f64,
}

impl Moments {
    pub(super) fn add(&mut self, value: f32) {
        let value = f64::from(value);
        self.values += 1;
        let before = value - self.mean;
        self.mean += before / self.values as f64;
        self.squares += before * (value - self.mean);
    }

    pub(super) fn values(&self) -> u64 {
        self.values
    }

    /// None of no values.
    pub(super) fn mean(&self) -> Option<f64> {
        (self.values > 0).then_some(self.mean)
    }

    /// √(Σ (x − mean)² / n), that of the population; none of no values.
    pub(super) fn std(&self) -> Option<f64> {
        (self.values > 0).then(|| (self.squares / self.values as f64).sqrt())
    }
}
