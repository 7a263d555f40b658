//! A program repeated over the slices of some buffers, with states that go from step to step.
//!
//! The step is a program of its own: its inputs are the states, slices and whole buffers in this
//! order, its outputs the states and the elements. It runs in the memory of the outer program: its
//! arena is one buffer of that, so that nothing is allocated and no element copied between steps.
//!
//! A state that its step may write in place stays where the last one belongs. Any other takes turns
//! between that buffer and a spare one, so that the last step writes where the state belongs.
//!
//! A gate that is false leaves all steps out: states stay, elements are 0. A state that is false
//! after a step may end them early.

use super::{BufferId, Place, Program};

/// A step and what it is repeated on.
#[derive(Clone, PartialEq, Debug)]
pub struct Repeat {
    /// Steps; at least one.
    pub count: usize,
    /// Whether the last slice comes first.
    pub reverse: bool,
    /// One step.
    pub step: Box<Program>,
    /// What goes from step to step.
    pub states: Vec<State>,
    /// Read a slice a step: `count` times as many elements as the step's input.
    pub slices: Vec<BufferId>,
    /// Read whole by each step.
    pub whole: Vec<BufferId>,
    /// Written a slice a step.
    pub elements: Vec<BufferId>,
    /// A `bool` that says whether there are steps.
    pub gate: Option<BufferId>,
    /// A state, a `bool`, that is false where no step changes anything any more.
    pub until: Option<usize>,
    /// The memory of the step's arena.
    pub arena: BufferId,
}

/// What a state is before, after and between the steps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct State {
    /// Before the first step.
    pub first: BufferId,
    /// After the last step.
    pub last: BufferId,
    /// Empty where the step writes in place.
    pub spare: BufferId,
}

impl Repeat {
    /// The buffers that are read.
    pub fn reads(&self) -> impl Iterator<Item = BufferId> {
        let states = self.states.iter().map(|s| s.first);
        states.chain(self.slices.iter().chain(&self.whole).copied()).chain(self.gate)
    }

    /// The buffers that are written and mean something afterwards.
    pub fn results(&self) -> impl Iterator<Item = BufferId> {
        self.states.iter().map(|s| s.last).chain(self.elements.iter().copied())
    }

    /// The buffers that only the steps use.
    pub fn scratch(&self) -> impl Iterator<Item = BufferId> {
        self.states.iter().map(|s| s.spare).chain([self.arena])
    }

    /// Every buffer, to be given another number.
    pub fn buffers_mut(&mut self) -> impl Iterator<Item = &mut BufferId> {
        let states = self.states.iter_mut().flat_map(|s| [&mut s.first, &mut s.last, &mut s.spare]);
        let lists = self.slices.iter_mut().chain(&mut self.whole).chain(&mut self.elements);
        states.chain(lists).chain(&mut self.gate).chain([&mut self.arena])
    }

    /// Whether a step may write this state over the one before it.
    pub fn in_place(&self, state: usize) -> bool {
        self.step.plan.donations.contains(&(state as u32, state as u32))
    }

    /// Where the step number `turn` (from 0) reads a state and where it writes it.
    pub fn turn(&self, state: usize, turn: usize) -> (BufferId, BufferId) {
        let State { first, last, spare } = self.states[state];
        let written = |turn: usize| {
            let even = (self.count - 1 - turn).is_multiple_of(2);
            if even || self.in_place(state) { last } else { spare }
        };
        let read = if turn == 0 { first } else { written(turn - 1) };
        (read, written(turn))
    }

    /// The order in which slices are visited.
    pub fn order(&self) -> impl Iterator<Item = usize> + use<> {
        let (count, reverse) = (self.count, self.reverse);
        (0..count).map(move |i| if reverse { count - 1 - i } else { i })
    }
}

/// Plans the steps of a program's repeats, and gives their memory its size.
pub(super) fn plan_steps(program: &mut Program) {
    let buffers = &mut program.buffers;
    for kernel in &mut program.kernels {
        let super::Work::Repeat(repeat) = &mut kernel.work else { continue };
        super::plan(&mut repeat.step);
        buffers[repeat.arena.0 as usize].elements = repeat.step.plan.bytes;
        for (number, state) in repeat.states.iter().enumerate() {
            let elements = buffers[state.last.0 as usize].elements;
            let spare = &mut buffers[state.spare.0 as usize];
            debug_assert!(matches!(spare.place, Place::Arena), "a spare is nobody's result");
            spare.elements = if repeat.in_place(number) { 0 } else { elements };
        }
    }
}
