//! Verification of plans: placement inside the images, and nothing alive shares memory.
//!
//! Liveness and the right to share are worked out anew from the kernels' accesses.

use crate::kernel::plan::{ALIGNMENT, Life, lives};
use crate::kernel::touch::{Site, in_place, touches};
use crate::kernel::{BufferId, Place, Program};

/// Buffers inside their images, aligned, and apart from all that lives at the same time.
pub(super) fn check_plan(program: &Program) -> Result<(), String> {
    let plan = &program.plan;
    ensure!(plan.offsets.len() == program.buffers.len(), "an offset for each buffer");
    ensure!(plan.row_offsets.len() == program.buffers.len(), "a row offset for each buffer");
    let lives = lives(program);
    let size = |b: usize| program.buffers[b].elements * program.buffers[b].dtype.size();
    let mut arena: Vec<(usize, usize, (usize, usize))> = Vec::new();
    for (b, buffer) in program.buffers.iter().enumerate() {
        let (offset, image) = match buffer.place {
            Place::Arena | Place::Row if lives[b].is_none() => continue,
            Place::Arena => (plan.offsets[b], plan.bytes),
            Place::Row => (plan.row_offsets[b], plan.row_bytes),
            Place::Input(_) | Place::Output(_) | Place::Constant(_) => continue,
        };
        let Some(offset) = offset else { return Err(format!("b{b} has no offset")) };
        ensure!(offset % ALIGNMENT == 0, "b{b} is not aligned");
        ensure!(size(b) == 0 || offset + size(b) <= image, "b{b} is outside the image");
        if let (Place::Arena, Some(life)) = (&buffer.place, lives[b]) {
            arena.push((offset, b, life));
        }
    }
    arena.sort_unstable();
    for (i, &(offset, a, life)) in arena.iter().enumerate() {
        let end = offset + size(a);
        for &(_, b, other) in arena[i + 1..].iter().take_while(|(start, ..)| *start < end) {
            if size(b) > 0 {
                check_shared(program, (a, life), (b, other))?;
            }
        }
    }
    check_rows(program)?;
    check_donations(program, &lives)
}

/// Two arena buffers with common bytes, each as (buffer, life): one dies before the other is born,
/// or just there, where the kernel reads and writes them in step at one offset.
fn check_shared(
    program: &Program,
    a: (usize, (usize, usize)),
    b: (usize, (usize, usize)),
) -> Result<(), String> {
    let (first, second) = if a.1.1 <= b.1.0 { (a, b) } else { (b, a) };
    if first.1.1 < second.1.0 {
        return Ok(());
    }
    let dtype = |b: usize| program.buffers[b].dtype.size();
    let in_step = first.1.1 == second.1.0
        && program.plan.offsets[first.0] == program.plan.offsets[second.0]
        && dtype(first.0) == dtype(second.0)
        && in_place(
            &program.kernels[second.1.0],
            BufferId(first.0 as u32),
            BufferId(second.0 as u32),
        );
    ensure!(in_step, "b{} and b{} share memory while both are alive", a.0, b.0);
    Ok(())
}

/// Row buffers of one nest are alive from the first stage that touches them to the last.
fn check_rows(program: &Program) -> Result<(), String> {
    for kernel in &program.kernels {
        let mut seen: Vec<(usize, usize, usize, usize, usize)> = Vec::new();
        for touch in touches(kernel) {
            let b = touch.buffer.0 as usize;
            let buffer = &program.buffers[b];
            if !matches!(buffer.place, Place::Row) {
                continue;
            }
            let (Site::Body(stage, _) | Site::Finish(stage, _)) = touch.site else { continue };
            match seen.iter_mut().find(|s| s.0 == b) {
                Some(entry) => entry.4 = stage,
                None => {
                    let start = program.plan.row_offsets[b].unwrap_or(usize::MAX);
                    let end = start.saturating_add(buffer.elements * buffer.dtype.size());
                    seen.push((b, start, end, stage, stage));
                }
            }
        }
        for (i, a) in seen.iter().enumerate() {
            for b in &seen[i + 1..] {
                let together = a.3 <= b.4 && b.3 <= a.4;
                let overlap = a.1 < b.2 && b.1 < a.2;
                ensure!(!(together && overlap), "row buffers b{} and b{} overlap", a.0, b.0);
            }
        }
    }
    Ok(())
}

/// An output written over an input: after all reads of it, or in step with the last.
fn check_donations(program: &Program, lives: &[Life]) -> Result<(), String> {
    let mut taken: Vec<u32> = Vec::new();
    let mut given: Vec<u32> = Vec::new();
    for &(input, output) in &program.plan.donations {
        let (Some(&from), Some(&to)) =
            (program.inputs.get(input as usize), program.outputs.get(output as usize))
        else {
            return Err(format!("donation of input {input} to output {output}"));
        };
        let twice = taken.contains(&output) || given.contains(&input);
        ensure!(!twice, "input {input} or output {output} is donated twice");
        taken.push(output);
        given.push(input);
        let (a, b) = (&program.buffers[from.0 as usize], &program.buffers[to.0 as usize]);
        let fits = a.elements == b.elements && a.dtype == b.dtype;
        ensure!(fits, "input {input} is not of the type of output {output}");
        let (Some(read), Some(written)) = (lives[from.0 as usize], lives[to.0 as usize]) else {
            continue;
        };
        let apart = read.1 < written.0;
        let kernel = &program.kernels[written.0];
        let in_step = read.1 == written.0 && in_place(kernel, from, to);
        ensure!(apart || in_step, "output {output} is written over input {input} too early");
    }
    Ok(())
}
