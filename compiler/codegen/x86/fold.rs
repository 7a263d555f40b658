//! Accumulators: what a combination does to groups of lanes, and how lanes become one value.
//!
//! Invariant: as in the portable `fold`, a fold across lanes has [`FOLD_LANES`] partial results;
//! the element at lane `i` goes to partial result `i % FOLD_LANES`, and these are combined as a
//! tree by halves. So the bits are those of every other instruction set.
//!
//! Largest and smallest floats remember apart in which lanes there were only numbers, which is
//! cheaper than to let a NaN win each time. Elements join them by twos: one comparison looks at
//! both, and what waits for the state is half as long. No order of elements changes their bits.
//! Where trees of several rows stand side by side, integers in the order of the numbers take their
//! place, of which NaN is the extreme one: that is half as many instructions, and no masks.

use super::arith::by_bits;
use super::asm::Width;
use super::lower::{Argument, Lanes, Lower, Scene};
use super::machine::{Class, Place, Reg};
use super::table::Op;
use crate::codegen::fold::{FOLD_LANES, has_index};
use crate::vector::{Binary, Combine, Compare, Inst, Type, Value, reference};
use smallvec::{SmallVec, smallvec};

/// The state of one accumulator for a group of lanes.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub value: Lanes,
    /// Where it stood, for `ArgMax` and `ArgMin`.
    index: Option<Lanes>,
    /// Whether there was no NaN, for `Max` and `Min` of floats.
    numbers: Option<Lanes>,
    /// An element of which neither `value` nor `numbers` knows yet, and how it will join them.
    unseen: Option<(Binary, Lanes)>,
}

impl State {
    /// Every register of the state, which is settled.
    pub fn parts(&self) -> impl Iterator<Item = Reg> + '_ {
        debug_assert!(self.unseen.is_none(), "a state that is named is settled");
        let index = self.index.iter().flat_map(|x| x.parts.iter().copied());
        let numbers = self.numbers.iter().flat_map(|x| x.parts.iter().copied());
        self.value.parts.iter().copied().chain(index).chain(numbers)
    }

    /// The same with other registers.
    pub fn renamed(&self, mut rename: impl FnMut(Reg) -> Reg) -> State {
        let mut lanes = |x: &Lanes| {
            let parts = x.parts.iter().map(|&p| rename(p)).collect();
            Lanes { ty: x.ty, bits: x.bits, parts }
        };
        State {
            value: lanes(&self.value),
            index: self.index.as_ref().map(&mut lanes),
            numbers: self.numbers.as_ref().map(&mut lanes),
            unseen: None,
        }
    }
}

/// Groups of so many lanes whose states are apart. Where the order of elements changes no bit, as
/// many as hide the latency.
pub(super) fn groups_apart(lanes: u32, folds: &[(Combine, Type)]) -> u32 {
    let all = FOLD_LANES / lanes;
    let ordered = folds.iter().any(|&(combine, ty)| {
        matches!(combine, Combine::Add | Combine::Mul) && matches!(ty, Type::F32 | Type::F64)
    });
    match ordered {
        true => all,
        false if folds.iter().any(|&(combine, _)| has_index(combine)) => 2,
        false => all.min(4),
    }
}

/// Whether trees of several rows can be one: a state is one value in each lane.
pub(super) fn joins_rows(folds: &[(Combine, Type)]) -> bool {
    folds.iter().all(|&(combine, ty)| {
        ty != Type::Mask && !has_index(combine) && !remembers_numbers(combine, ty)
    })
}

/// Whose parts of `bits` bits follow each other where two vectors give halves of theirs.
fn places_of_two(x: &[usize], y: &[usize], bits: u32) -> Vec<usize> {
    match bits {
        // Within 128 bits, from each in turn.
        64 => x.iter().zip(y).flat_map(|(&x, &y)| [x, y]).collect(),
        32 => x.chunks(2).zip(y.chunks(2)).flat_map(|(x, y)| [x, y].concat()).collect(),
        _ => [x, y].concat(),
    }
}

fn remembers_numbers(combine: Combine, ty: Type) -> bool {
    matches!(combine, Combine::Max | Combine::Min) && matches!(ty, Type::F32 | Type::F64)
}

fn nan_bits(ty: Type) -> u64 {
    if matches!(ty, Type::F64 | Type::I64) { f64::NAN.to_bits() } else { f32::NAN.to_bits().into() }
}

/// The rank of NaN: that of its own bits, above those of all numbers, or what is below all.
fn beyond(combine: Combine, ty: Type) -> u64 {
    let bits = nan_bits(ty);
    if extreme(combine) == Binary::Max { bits } else { !bits }
}

/// The operation of `Max` and `Min`.
fn extreme(combine: Combine) -> Binary {
    if combine == Combine::Max { Binary::Max } else { Binary::Min }
}

impl Lower<'_> {
    /// The state before the first element.
    pub fn identity(&mut self, combine: Combine, ty: Type) -> State {
        let value = self.constant(reference::identity(combine, ty).scalar());
        let index = has_index(combine).then(|| self.fill(Type::I64, i64::MAX as u64));
        let numbers = remembers_numbers(combine, ty).then(|| {
            let all = self.constant(tensc_runtime::Scalar::new(true));
            if self.has_masks() { all } else { self.widen_constant(&all, value.bits) }
        });
        State { value, index, numbers, unseen: None }
    }

    /// A constant mask with lanes of `bits` bits: all lanes are alike, so more parts do.
    fn widen_constant(&mut self, mask: &Lanes, bits: u32) -> Lanes {
        let parts = SmallVec::from_elem(mask.parts[0], self.part_count(bits));
        Lanes { ty: Type::Mask, bits, parts }
    }

    /// The state with one more element in each active lane.
    pub fn update(
        &mut self,
        combine: Combine,
        before: &State,
        value: &Lanes,
        index: Option<&Lanes>,
    ) -> State {
        let (value, index) = (value.clone(), index.cloned());
        let mut new = State { value, index, numbers: None, unseen: None };
        if !self.has_masks() && new.value.ty == Type::Mask {
            new.value = self.widen_mask(&new.value, 32);
        }
        if self.is_tail() {
            let identity = self.identity(combine, new.value.ty);
            let active = self.active_lanes();
            new.value = self.choose(&active, &new.value, &identity.value);
            if let (Some(index), Some(none)) = (&new.index, &identity.index) {
                new.index = Some(self.select(&active, index, none));
            }
        }
        let Some(numbers) = &before.numbers else { return self.merge(combine, before, &new) };
        let op = extreme(combine);
        let Some((_, other)) = &before.unseen else {
            return State { unseen: Some((op, new.value)), ..before.clone() };
        };
        let both = self.ordered_extreme(op, other, &new.value);
        // Nothing came before the first.
        let first = before.value.parts == self.identity(combine, both.ty).value.parts;
        let value = if first { both } else { self.ordered_extreme(op, &before.value, &both) };
        let numbers = Some(self.ordered_and(numbers, other, &new.value));
        State { value, index: None, numbers, unseen: None }
    }

    /// Folds the element that waits for another, if there is one. A region ends with this.
    pub fn settle(&mut self, state: &mut State) {
        if let (Some(numbers), Some((op, x))) = (&state.numbers, state.unseen.take()) {
            state.numbers = Some(self.ordered_and(numbers, &x, &x));
            state.value = self.ordered_extreme(op, &state.value, &x);
        }
    }

    /// A selection of numbers or of masks.
    fn choose(&mut self, mask: &Lanes, x: &Lanes, y: &Lanes) -> Lanes {
        if x.ty != Type::Mask {
            return self.select(mask, x, y);
        }
        // y ^ (mask & (x ^ y))
        let differ = self.binary(Binary::Xor, x, y, None);
        let changed = self.binary(Binary::And, &differ, mask, None);
        self.binary(Binary::Xor, y, &changed, None)
    }

    /// Both states in one.
    pub fn merge(&mut self, combine: Combine, x: &State, y: &State) -> State {
        let op = match combine {
            Combine::Add => Binary::Add,
            Combine::Mul => Binary::Mul,
            Combine::Max | Combine::Min => extreme(combine),
            Combine::And => Binary::And,
            Combine::Or => Binary::Or,
            Combine::ArgMax => return self.merge_extremes(Compare::Gt, x, y),
            Combine::ArgMin => return self.merge_extremes(Compare::Lt, x, y),
        };
        let value = match x.numbers.is_some() {
            true => self.ordered_extreme(op, &x.value, &y.value),
            false => self.binary(op, &x.value, &y.value, None),
        };
        let both = x.numbers.as_ref().zip(y.numbers.as_ref());
        let numbers = both.map(|(x, y)| self.binary(Binary::And, x, y, None));
        State { value, index: None, numbers, unseen: None }
    }

    /// The state whose value `beats` the other's; NaN beats numbers, of equals the smaller index.
    fn merge_extremes(&mut self, beats: Compare, x: &State, y: &State) -> State {
        let (Some(x_index), Some(y_index)) = (&x.index, &y.index) else {
            unreachable!("positions of extremes carry an index");
        };
        let mut takes_y = self.compare(beats, &y.value, &x.value);
        let mut equal = self.compare(Compare::Eq, &x.value, &y.value);
        if matches!(x.value.ty, Type::F32 | Type::F64) {
            let x_nan = self.unordered(&x.value, &x.value);
            let y_nan = self.unordered(&y.value, &y.value);
            let both = self.binary(Binary::And, &x_nan, &y_nan, None);
            equal = self.binary(Binary::Or, &equal, &both, None);
            let only_y = self.binary(Binary::Xor, &both, &y_nan, None);
            takes_y = self.binary(Binary::Or, &takes_y, &only_y, None);
        }
        let earlier = self.compare(Compare::Lt, y_index, x_index);
        let tie = self.binary(Binary::And, &equal, &earlier, None);
        let takes_y = self.binary(Binary::Or, &takes_y, &tie, None);
        State {
            value: self.select(&takes_y, &y.value, &x.value),
            index: Some(self.select(&takes_y, y_index, x_index)),
            numbers: None,
            unseen: None,
        }
    }

    /// What an accumulator hands on.
    pub fn result(&mut self, x: &State) -> Lanes {
        if let Some(index) = &x.index {
            return index.clone();
        }
        let Some(numbers) = &x.numbers else { return x.value.clone() };
        let none = self.fill(x.value.ty, nan_bits(x.value.ty));
        self.select(numbers, &x.value, &none)
    }

    /// All lanes of the groups combined, lower with upper half until one is left: lane 0 of the
    /// result is right.
    fn across(&mut self, combine: Combine, groups: &[State], abreast: bool) -> Lanes {
        let mut groups = groups.to_vec();
        while groups.len() > 1 {
            self.halve(combine, &mut groups);
        }
        let mut state = groups.pop().expect("there is a group");
        let ty = state.value.ty;
        let ranked =
            abreast && state.numbers.is_some() && (state.value.bits == 32 || self.has_masks());
        if ranked {
            state = self.ranks(combine, &state);
        }
        let mut lanes = self.lanes;
        while lanes > 1 {
            let (low, high) = (self.half_of(&state, lanes, 0), self.half_of(&state, lanes, 1));
            state = self.merge(combine, &low, &high);
            lanes /= 2;
        }
        match ranked {
            true => self.number_of(combine, ty, &state.value),
            false => self.result(&state),
        }
    }

    /// Floats that remember where there was a NaN as integers in the same order, in which NaN is
    /// beyond all others.
    fn ranks(&mut self, combine: Combine, x: &State) -> State {
        let ty = if x.value.bits == 64 { Type::I64 } else { Type::I32 };
        let rank = self.turn_negative(&Lanes { ty, ..x.value.clone() });
        let beyond = self.fill(ty, beyond(combine, ty));
        let numbers = x.numbers.as_ref().expect("a state that remembers");
        let value = self.select(numbers, &rank, &beyond);
        State { value, index: None, numbers: None, unseen: None }
    }

    /// The float of a rank.
    fn number_of(&mut self, combine: Combine, ty: Type, rank: &Lanes) -> Lanes {
        let number = Lanes { ty, ..self.turn_negative(rank) };
        if extreme(combine) == Binary::Max {
            return number;
        }
        // What is beyond all below is a NaN too, but not the one that others give.
        let least = self.fill(rank.ty, beyond(combine, rank.ty));
        let is_nan = self.compare(Compare::Eq, rank, &least);
        let nan = self.fill(ty, nan_bits(ty));
        self.select(&is_nan, &nan, &number)
    }

    /// Turns over all bits but the sign of what is negative.
    fn turn_negative(&mut self, x: &Lanes) -> Lanes {
        let shift = by_bits(x.bits, Op::VpsradImm, Op::VpsraqImm);
        let sign = self.map(x, |g, p| g.vi(shift, &[p.into()], (x.bits - 1) as u8));
        let others = self.fill(x.ty, (1u64 << (x.bits - 1)) - 1);
        let turned = self.binary(Binary::And, &sign, &others, None);
        self.binary(Binary::Xor, x, &turned, None)
    }

    /// The groups of the lower half combined with those of the upper one.
    fn halve(&mut self, combine: Combine, groups: &mut Vec<State>) {
        let upper = groups.split_off(groups.len() / 2);
        for (group, upper) in groups.iter_mut().zip(&upper) {
            *group = self.merge(combine, group, upper);
        }
    }

    /// The results of all accumulators of the groups; where in the frame each then is. If trees of
    /// other rows stand `abreast`, it matters how many instructions they are, otherwise how long
    /// they wait for each other.
    pub fn trees(
        &mut self,
        folds: &[(Combine, Type)],
        groups: &[Vec<State>],
        abreast: bool,
    ) -> Vec<i32> {
        let tree = |(i, &(combine, _)): (usize, &(Combine, Type))| {
            let groups: Vec<State> = groups.iter().map(|group| group[i].clone()).collect();
            let result = self.across(combine, &groups, abreast);
            self.keep_row_value(&result)
        };
        folds.iter().enumerate().map(tree).collect()
    }

    /// As [`Lower::trees`], of rows whose trees have the same shape: vectors are filled with the
    /// halves of several rows, so that one merge serves them all.
    pub fn trees_of_rows(
        &mut self,
        folds: &[(Combine, Type)],
        rows: &[Vec<Vec<State>>],
    ) -> Vec<Vec<i32>> {
        let mut results = vec![Vec::with_capacity(folds.len()); rows.len()];
        for (i, &(combine, _)) in folds.iter().enumerate() {
            let of_row = |groups: &Vec<Vec<State>>| groups.iter().map(|g| g[i].clone()).collect();
            let cells = self.across_rows(combine, rows.iter().map(of_row).collect());
            results.iter_mut().zip(cells).for_each(|(row, cell)| row.push(cell));
        }
        results
    }

    /// The groups of each row combined; where in the frame each result then is.
    fn across_rows(&mut self, combine: Combine, mut rows: Vec<Vec<State>>) -> Vec<i32> {
        while rows[0].len() > 1 {
            rows.iter_mut().for_each(|groups| self.halve(combine, groups));
        }
        let mut vectors: Vec<State> = rows.into_iter().flatten().collect();
        let bits = vectors[0].value.bits;
        let mut lanes = self.lanes;
        if vectors[0].value.parts.len() > 1 {
            // The halves of 64-bit lanes are registers of their own.
            for state in &mut vectors {
                let (low, high) = (self.half_of(state, lanes, 0), self.half_of(state, lanes, 1));
                *state = self.merge(combine, &low, &high);
            }
            lanes /= 2;
        }
        // By vector: the rows that its parts belong to.
        let mut rows: Vec<Vec<usize>> = (0..vectors.len()).map(|row| vec![row]).collect();
        while lanes > 1 {
            lanes /= 2;
            let pairs = vectors.chunks(2).map(|pair| (&pair[0], pair.last().expect("not empty")));
            let joined = pairs.map(|(x, y)| {
                let [low, high] = self.halves_of_two(x, y, lanes * bits);
                self.merge(combine, &low, &high)
            });
            vectors = joined.collect();
            let pairs = rows.chunks(2).map(|pair| (&pair[0], pair.last().expect("not empty")));
            rows = pairs.map(|(x, y)| places_of_two(x, y, lanes * bits)).collect();
        }
        let mut cells = vec![0; rows.iter().flatten().max().map_or(0, |&last| last + 1)];
        for (state, rows) in vectors.iter().zip(&rows) {
            let at = self.frame.take(self.width.bytes());
            let place = Place::Frame(at).into();
            self.effect(Op::VmovupsStore, self.width, &[place, state.value.parts[0].into()]);
            for (part, &row) in rows.iter().enumerate() {
                cells[row] = at + part as i32 * bits as i32 / 8;
            }
        }
        cells
    }

    /// The lower and the upper halves, of `bits` bits each, of what two vectors hold, both
    /// in the order of [`places_of_two`].
    fn halves_of_two(&mut self, x: &State, y: &State, bits: u32) -> [State; 2] {
        let (op, imms) = match (bits, self.width) {
            (256, _) => (Op::Vshufi64x2, Some([0x44, 0xEE])),
            (128, Width::Z) => (Op::Vshufi64x2, Some([0x88, 0xDD])),
            (128, _) => (Op::Vperm2i128, Some([0x20, 0x31])),
            (64, _) => (Op::Vunpcklpd, None),
            _ => (Op::Vshufps, Some([0x88, 0xDD])),
        };
        let parts = [x.value.parts[0].into(), y.value.parts[0].into()];
        let made = match imms {
            Some(imms) => imms.map(|imm| self.vi(op, &parts, imm)),
            None => [self.v(op, &parts), self.v(Op::Vunpckhpd, &parts)],
        };
        made.map(|part| State { value: Lanes { parts: smallvec![part], ..x.value }, ..x.clone() })
    }

    /// Lowers the finish of a fold, for the one lane there is; where in the frame its yields are.
    pub fn finish(&mut self, scene: &Scene) -> Vec<i32> {
        self.active = 1;
        let lowered = self.program(scene, |_| true);
        let cell = |y: &Value| match scene.program.insts[y.0 as usize] {
            Inst::Param(p) => match scene.params[p.0 as usize] {
                Argument::Row(at) => at,
                _ => unreachable!("a finish has values of the row"),
            },
            _ => self.keep_row_value(lowered[y.0 as usize].as_ref().expect("a yield is a value")),
        };
        scene.program.yields.iter().map(cell).collect()
    }

    /// The lower (0) or upper (1) half of `lanes` lanes, in the lowest lanes of fewer registers.
    fn half_of(&mut self, x: &State, lanes: u32, half: usize) -> State {
        State {
            value: self.half(&x.value, lanes, half),
            index: x.index.as_ref().map(|i| self.half(i, lanes, half)),
            numbers: x.numbers.as_ref().map(|n| self.half(n, lanes, half)),
            unseen: None,
        }
    }

    fn half(&mut self, x: &Lanes, lanes: u32, half: usize) -> Lanes {
        let parts = match *x.parts {
            [low, high] => SmallVec::from_slice(&[if half == 0 { low } else { high }]),
            _ if half == 0 => x.parts.clone(),
            _ => SmallVec::from_slice(&[self.upper(x, lanes)]),
        };
        Lanes { ty: x.ty, bits: x.bits, parts }
    }

    /// The upper half of `lanes` lanes of the only part.
    fn upper(&mut self, x: &Lanes, lanes: u32) -> Reg {
        let part = x.parts[0];
        if self.registers.class(part) == Class::Mask {
            return self.k(Op::Kshiftrw, Width::X, &[part.into()], Some((lanes / 2) as u8));
        }
        match lanes * x.bits {
            512 => self.wi(Op::Vextracti256, Width::Z, &[part.into()], 1),
            256 => self.vi(Op::Vextracti128, &[part.into()], 1),
            128 => self.vi(Op::Vpshufd, &[part.into()], 0x0E),
            _ => self.vi(Op::Vpshufd, &[part.into()], 0x01),
        }
    }

    /// Writes lane 0 to the frame, as a parameter of the row is read: masks as an I32.
    fn keep_row_value(&mut self, x: &Lanes) -> i32 {
        let at = self.frame.take(8);
        let x = if x.ty == Type::Mask { self.convert(Type::I32, x) } else { x.clone() };
        let op = if x.bits == 64 { Op::VmovsdStore } else { Op::VmovssStore };
        self.effect(op, Width::X, &[Place::Frame(at).into(), x.parts[0].into()]);
        at
    }
}
