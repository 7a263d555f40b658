//! tensc inside a Rust program: compile a source once, then call its functions on borrowed slices.
//!
//! `cargo run --release --example embed`

use std::error::Error;
use tensc::{Module, Session, TensorView};

/// Fits `y = w·x + b` by gradient descent; the gradient is the compiler's.
const SOURCE: &str = "
    struct Line { w: f32[2], b: f32 }

    fn loss[N](p: Line, x: f32[N, 2], y: f32[N]) -> f32 = mean(square(x @ p.w + p.b - y))

    fn step[N](p: Line, x: f32[N, 2], y: f32[N], rate: f32) -> Line = p - rate * grad(loss)(p, x, y)
";

fn main() -> Result<(), Box<dyn Error>> {
    let module = Module::from_source("line.tx", SOURCE)?;
    let session = Session::default();
    let step = module.function("step").ok_or("the source has `step`")?;

    // Points of the plane y = 2·x0 - 3·x1 + 0.5. The slices are read in place, never copied.
    let x: Vec<f32> = (0..64).map(|i| ((i * 37) % 64) as f32 / 32.0 - 1.0).collect();
    let y: Vec<f32> = x.chunks(2).map(|p| 2.0 * p[0] - 3.0 * p[1] + 0.5).collect();
    // Parameters are lent, and stay as they are where a call fails. `Argument::Owned` gives them
    // away, so that the step works in place, and loses them with it.
    let (mut w, mut b) = (vec![0.0f32; 2], vec![0.0f32]);
    for _ in 0..400 {
        let arguments = [
            TensorView::new(&w, [2]),
            TensorView::new(&b, []),
            TensorView::new(&x, [32, 2]),
            TensorView::new(&y, [32]),
            TensorView::new(&[0.2f32], []),
        ];
        let next = step.call(&session, &arguments)?;
        (w, b) = (next[0].as_slice().to_vec(), next[1].as_slice().to_vec());
    }
    println!("w = [{:.3}, {:.3}], b = {:.3}", w[0], w[1], b[0]);
    assert!((w[0] - 2.0).abs() < 1e-2 && (w[1] + 3.0).abs() < 1e-2 && (b[0] - 0.5).abs() < 1e-2);
    println!("compiled {} graph for 400 calls", session.compiled_graphs());
    Ok(())
}
