//! How a program runs its plan, in words.

use super::{Program, Source};

impl Program {
    /// What is read, what is computed as a column of its own, and what is written straight into a tensor:
    ///
    /// ```text
    /// runs as
    ///   reads 180 features, each once
    ///   computes 12 columns that are used again or by ops on several
    ///   writes 170 of 190 outputs straight into their tensors, through 480 ops in place
    /// ```
    pub fn explain(&self) -> String {
        let ops = self.steps.iter();
        let ops = ops.filter(|step| matches!(step.source, Source::Op { .. }));
        let outputs = self.outputs.iter().flatten();
        let chains: Vec<usize> = (outputs.clone())
            .filter_map(|output| Some(output.through.as_ref()?.ops()))
            .collect();
        format!(
            "runs as\n  reads {} features, each once\n  computes {} columns that are used again or by ops on several\n  \
             writes {} of {} outputs straight into their tensors, through {} ops in place",
            self.features.len(),
            ops.count(),
            chains.len(),
            outputs.count(),
            chains.iter().sum::<usize>()
        )
    }
}
