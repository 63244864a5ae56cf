//! How a program runs its plan, in words.

use super::{Program, Source, chain::Through};

impl Program {
    /// What is read, what may be done where it is decoded, what is computed as a column of its own, and what is written straight
    /// into a tensor:
    ///
    /// ```text
    /// runs as
    ///   reads 180 features, each once
    ///   maps the values of 170 of them, by 340 ops, as dictionaries where that is less work
    ///   computes 12 columns that are used again or by ops on several
    ///   writes 170 of 190 outputs straight into their tensors, through 480 ops in place
    /// ```
    pub fn explain(&self) -> String {
        let computed = self.steps.iter().filter(|step| {
            let source = &step.source;
            matches!(source, Source::Op { .. } | Source::Chain { .. })
        });
        let outputs = self.outputs.iter().flatten();
        let chains: Vec<usize> = (outputs.clone())
            .filter_map(|output| Some(output.through.as_ref()?.ops))
            .collect();
        let maps = self.chains().filter_map(Through::value_map);
        let mapped: Vec<usize> = maps.map(|(_, map)| map.ops()).collect();
        format!(
            "runs as\n  reads {} features, each once\n  maps the values of {} of them, by {} ops, as dictionaries where that \
             is less work\n  computes {} columns that are used again or by ops on several\n  \
             writes {} of {} outputs straight into their tensors, through {} ops in place",
            self.features.len(),
            mapped.len(),
            mapped.iter().sum::<usize>(),
            computed.count(),
            chains.len(),
            outputs.count(),
            chains.iter().sum::<usize>()
        )
    }
}
