//! The same bits for less work. Pure: steps in, steps out.
//!
//! 1. Neighbouring ops that work in place become one step, a chain, which passes over its values once.
//! 2. In a chain a stretch of every row (`first_x`) comes before what maps single ids: only ids that are kept are mapped.
//! 3. A chain that only fills an output is left to packing, which writes each value once, where it stays.
//!
//! 4. A chain on a feature knows what of it may be done where the feature is decoded, on a dictionary's values in place of
//!    those of all rows, and what is left then.
//!
//! Only what nobody else looks at is rearranged. Equal expressions were merged, and unused ones dropped, when the plan was
//! bound.

use std::collections::HashSet;

use super::{
    Output, Outputs, Source, Step,
    chain::{Chain, DenseChain, Link, ListChain, Singles, Through},
};
use crate::{Kind, in_place::InPlace, plan::Group};

/// Steps, inputs first, and what outputs take of them.
pub(super) fn optimise(steps: Vec<Step>, outputs: Outputs) -> (Vec<Step>, Outputs) {
    let uses = uses(&steps, &outputs);
    let (steps, outputs) = fuse(steps, outputs, &uses);
    without_unused(steps, outputs)
}

/// How often each step's result is looked at.
fn uses(steps: &[Step], outputs: &Outputs) -> Vec<usize> {
    let mut uses = vec![0; steps.len()];
    let inputs = steps.iter().flat_map(|step| step.source.inputs());
    let outputs = outputs.iter().flatten().map(|output| &output.place);
    inputs.chain(outputs).for_each(|&place| uses[place] += 1);
    uses
}

/// The step's work in place on its only input, if that is all it does there.
fn work(steps: &[Step], place: usize) -> Option<(InPlace<'_>, usize)> {
    let Source::Op { op, inputs, .. } = &steps[place].source else {
        return None;
    };
    let &[input] = inputs.as_slice() else {
        return None;
    };
    let work = op.in_place().filter(|_| op.given().is_empty())?;
    let (from, to) = (steps[input].kind, steps[place].kind);
    let is_known = match work {
        InPlace::Values(_) => (from, to) == (Kind::Dense, Kind::Dense),
        InPlace::Nulls { int, .. } => {
            from == to && (from == Kind::Dense || from == Kind::Int && int.is_some())
        }
        InPlace::Ids(_) | InPlace::Rows(_) => from == to && from.is_one_of(Kind::LISTS),
        InPlace::Singles => to.is_one_of(Kind::LISTS),
    };
    is_known.then_some((work, input))
}

/// Chains in place of their last step; those before it are unused from then on.
fn fuse(mut steps: Vec<Step>, mut outputs: Outputs, uses: &[usize]) -> (Vec<Step>, Outputs) {
    let mut fused = HashSet::new();
    for last in (0..steps.len()).rev() {
        if fused.contains(&last) {
            continue;
        }
        let Some((members, input)) = members(&steps, last, uses) else {
            continue;
        };
        fused.extend(members.iter().copied());
        let chain = chain(&steps, &members);
        let output = match uses[last] {
            1 => only_output(&mut outputs, last, &chain),
            _ => None,
        };
        let feature = match steps[input].source {
            // of scored lists ids are no column of their own
            Source::Feature(feature)
                if uses[input] == 1 && steps[input].kind != Kind::IdScoreList =>
            {
                Some(feature)
            }
            _ => None,
        };
        let through = Through::new(chain, members.len(), feature);
        if let Some(output) = output {
            *output = Output {
                place: input,
                through: Some(through),
            };
        } else if members.len() > 1 || through.value_map().is_some() {
            steps[last].source = Source::Chain { input, through };
        }
    }
    (steps, outputs)
}

/// The steps of the chain that ends with `last`, first to last, and its input. An int's begins with what makes it a list, or
/// before that.
fn members(steps: &[Step], last: usize, uses: &[usize]) -> Option<(Vec<usize>, usize)> {
    if steps[last].kind == Kind::Int {
        return None;
    }
    let (_, mut input) = work(steps, last)?;
    let mut members = vec![last];
    while uses[input] == 1
        && let Some((_, before)) = work(steps, input)
    {
        members.push(input);
        input = before;
    }
    members.reverse();
    Some((members, input))
}

fn chain(steps: &[Step], members: &[usize]) -> Chain {
    let ops = members.iter().filter_map(|&it| steps[it].source.op());
    if steps[members[0]].kind == Kind::Dense {
        let links = ops.filter_map(|op| match op.in_place()? {
            InPlace::Nulls { dense, .. } => Some(Link::Nulls(dense)),
            _ => Some(Link::Values(op.clone())),
        });
        return Chain::Dense(DenseChain(links.collect()));
    }
    let mut lists = ListChain::default();
    let mut fill = None;
    for op in ops {
        match op.in_place() {
            Some(InPlace::Nulls { int, .. }) => fill = fill.or(int),
            Some(InPlace::Rows(stretch)) => lists.stretches.push(stretch),
            Some(InPlace::Ids(_)) => lists.maps.push(op.clone()),
            _ => {}
        }
    }
    lists.singles = begins_with_ints(steps, members).then_some(Singles { fill });
    Chain::Lists(lists)
}

fn begins_with_ints(steps: &[Step], members: &[usize]) -> bool {
    let inputs = steps[members[0]].source.inputs();
    steps[inputs[0]].kind == Kind::Int
}

/// The output that shows `place`, if packing it knows such chains.
fn only_output<'a>(
    outputs: &'a mut Outputs,
    place: usize,
    chain: &Chain,
) -> Option<&'a mut Output> {
    let groups: &[Group] = match chain {
        Chain::Dense(_) => &[Group::Dense, Group::Labels],
        Chain::Lists(_) => &[Group::Sparse],
    };
    let packed = Group::ALL.into_iter().zip(outputs.iter_mut());
    packed
        .filter(|(group, _)| groups.contains(group))
        .flat_map(|(_, outputs)| outputs)
        .find(|output| output.place == place)
}

/// The steps that outputs need.
fn without_unused(steps: Vec<Step>, mut outputs: Outputs) -> (Vec<Step>, Outputs) {
    let mut needed = vec![false; steps.len()];
    let shown = outputs.iter().flatten();
    shown.for_each(|output| needed[output.place] = true);
    for (place, step) in steps.iter().enumerate().rev() {
        if needed[place] {
            step.source
                .inputs()
                .iter()
                .for_each(|&it| needed[it] = true);
        }
    }
    let mut places = vec![0; steps.len()];
    let mut kept: Vec<Step> = Vec::with_capacity(steps.len());
    for (place, mut step) in steps.into_iter().enumerate() {
        if needed[place] {
            places[place] = kept.len();
            match &mut step.source {
                Source::Op { inputs, .. } => {
                    inputs.iter_mut().for_each(|input| *input = places[*input]);
                }
                Source::Chain { input, .. } => *input = places[*input],
                Source::Feature(_) | Source::RowId => {}
            }
            kept.push(step);
        }
    }
    let shown = outputs.iter_mut().flatten();
    shown.for_each(|output| output.place = places[output.place]);
    (kept, outputs)
}
