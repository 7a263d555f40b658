//! The order of a region's steps: several groups of lanes abreast.
//!
//! A body is mostly one long chain, each step of which waits for the one before; a processor looks
//! ahead less than the length of a chain. So the first steps of a few groups stand together, then
//! their second steps, and so on.
//!
//! Invariant: the steps of a group keep their order, and chained steps their order through all
//! groups.
//!
//! Neighbours: `stage` writes the groups; `allocate` takes the steps as they are ordered here.

use super::machine::Step;
use crate::codegen::target::Isa;
use crate::vector::{Inst, Program, Stride, Type, verify};

/// Instructions of a body up to which four groups are worth their code; and up to which two are.
const FOUR: usize = 100;
const TWO: usize = 200;

/// How many groups of a body should run abreast: as many as the registers hold the values of.
pub(super) fn abreast(program: &Program, isa: Isa) -> u32 {
    let insts = program.insts.iter().filter(|i| !matches!(i, Inst::Const(_) | Inst::Param(_)));
    let wanted = match insts.count() {
        n if n <= FOUR => 4,
        n if n <= TWO => 2,
        _ => 1,
    };
    // The rest are for constants on their way.
    let room = if isa == Isa::Avx512 { 28 } else { 13 };
    let alive = most_alive(program, isa).max(1);
    [4, 3, 2].into_iter().find(|&n| n <= wanted && n * alive <= room).unwrap_or(1)
}

/// How many registers the values of a group take at once, at most, constants aside.
fn most_alive(program: &Program, isa: Isa) -> u32 {
    let types = verify::types(program).expect("a verified program");
    let mut last = vec![0; program.insts.len()];
    for (at, inst) in program.insts.iter().enumerate() {
        inst.operands().for_each(|v| last[v.0 as usize] = at);
    }
    let registers = |i: usize| match (&program.insts[i], types[i]) {
        (Inst::Const(_) | Inst::Param(_) | Inst::Store(..), _) => 0,
        (Inst::Load(s), _) if program.slots[s.0 as usize].stride == Stride::Splat => 0,
        (_, Some(Type::Mask)) => u32::from(isa != Isa::Avx512),
        (_, Some(Type::I64 | Type::F64)) => 2,
        (_, Some(Type::I32 | Type::F32)) => 1,
        (_, None) => 0,
    };
    let mut ends = vec![0; program.insts.len()];
    let (mut alive, mut most) = (0, 0);
    for i in 0..program.insts.len() {
        // A result may take the place of an operand that ends here.
        alive -= ends[i];
        alive += registers(i);
        most = most.max(alive);
        let end = last[i].max(i + 1);
        match ends.get_mut(end) {
            Some(count) => *count += registers(i),
            None => alive -= registers(i),
        }
    }
    most
}

/// The steps of a group of lanes.
pub(super) struct Group {
    /// Those that need nothing of other groups.
    pub own: Vec<Step>,
    /// Those that come after, and after the chained ones of the groups before.
    pub chained: Vec<Step>,
}

/// The steps of groups, `abreast` groups at a time. A group of another length than the one before,
/// and steps on general registers, which pass things on unseen, are left one behind the other.
pub(super) fn interleave(groups: Vec<Group>, abreast: u32) -> Vec<Step> {
    let scalar = |group: &Group| group.own.iter().any(|step| matches!(step, Step::Scalar(_)));
    let abreast = if groups.iter().any(scalar) { 1 } else { abreast as usize };
    let mut all = Vec::new();
    let mut rest = groups.into_iter().peekable();
    while let Some(first) = rest.next() {
        let length = first.own.len();
        let (mut columns, mut chained) = (vec![first.own.into_iter()], vec![first.chained]);
        while columns.len() < abreast
            && let Some(next) = rest.next_if(|group| group.own.len() == length)
        {
            columns.push(next.own.into_iter());
            chained.push(next.chained);
        }
        for _ in 0..length {
            all.extend(columns.iter_mut().filter_map(Iterator::next));
        }
        all.extend(chained.into_iter().flatten());
    }
    all
}
