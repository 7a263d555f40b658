//! Programs as a whole: building, folding, verifying, printing and running, on generated programs
//! where a property holds for all and on small ones where a particular form is wanted.

use super::reference::{self, Accumulate, Environment};
use super::verify::{Place, Rule};
use super::*;
use proptest::prelude::*;
use tensc_runtime::{DType, Scalar};

/// Slots and parameters filled from a seed; stores and faults are written down.
#[derive(Default)]
struct World {
    seed: u64,
    dtypes: Vec<DType>,
    params: Vec<Type>,
    stores: Vec<(Slot, Scalar)>,
    faults: Vec<(u32, i64, u64)>,
}

impl World {
    fn new(program: &Program, seed: u64) -> World {
        let dtypes = program.slots.iter().map(|s| s.dtype).collect();
        World { seed, dtypes, params: program.params.clone(), ..World::default() }
    }
    fn element(&self, dtype: DType, which: u64) -> Scalar {
        let mixed = (self.seed ^ which).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        let special = [0.0, -0.0, 1.0, -1.0, f64::INFINITY, f64::NAN, 0.5, -300.25];
        match mixed % 3 {
            0 => Scalar::from_f64(dtype, special[(mixed / 3 % 8) as usize]),
            1 => Scalar::from_i64(dtype, mixed as i64 >> 40),
            _ => Scalar::from_f64(dtype, (mixed as i64 as f64) * 1e-17),
        }
    }
}

impl Environment for World {
    fn load(&mut self, slot: Slot) -> Scalar {
        self.element(self.dtypes[slot.0 as usize], u64::from(slot.0))
    }
    fn gather(&mut self, slot: Slot, index: i64) -> Scalar {
        self.element(self.dtypes[slot.0 as usize], u64::from(slot.0) + 1000 * index as u64)
    }
    fn store(&mut self, slot: Slot, element: Scalar) {
        self.stores.push((slot, element));
    }
    fn param(&mut self, param: Param) -> Lane {
        let ty = self.params[param.0 as usize];
        Lane::widen(self.element(ty.dtype(), 77 + u64::from(param.0)))
    }
    fn index(&mut self, axis: u32) -> i64 {
        i64::from(axis) + 3
    }
    fn fault(&mut self, site: u32, index: i64, bound: u64) {
        self.faults.push((site, index, bound));
    }
}

/// One choice of the generator: a random instruction is made of these numbers.
type Choice = (u8, u8, u32, u32, u32, i64);

const TYPES: [Type; 5] = [Type::I32, Type::I64, Type::F32, Type::F64, Type::Mask];

/// A well-formed instruction for the values there are, or none.
fn instruction(types: &[Option<Type>], insts: &[Inst], choice: Choice) -> Option<Inst> {
    let (kind, op, a, b, c, number) = choice;
    let of = |ty: Option<Type>, n: u32| {
        let fits = |i: &usize| types[*i].is_some_and(|t| ty.is_none_or(|wanted| wanted == t));
        let all: Vec<usize> = (0..types.len()).filter(fits).collect();
        all.get(n as usize % all.len().max(1)).map(|&i| Value(i as u32))
    };
    let slot = Slot(a % SLOTS.len() as u32);
    let dtype = DType::ALL[op as usize % 10];
    let any = of(None, a);
    let same = |v: Option<Value>, n| of(types[v?.0 as usize], n);
    use Binary::*;
    let inst = match kind % 14 {
        0 => Inst::Const(Scalar::from_i64(dtype, number)),
        1 => Inst::Const(Scalar::from_f64(dtype, f64::from_bits(number as u64))),
        2 => Inst::Load(slot),
        3 => Inst::Index(a % 3),
        4 => Inst::CheckIndex { index: of(Some(Type::I64), a)?, bound: 1 + u64::from(b), site: c },
        5 => {
            let checked = |v: &Value| matches!(insts[v.0 as usize], Inst::CheckIndex { .. });
            Inst::Gather(slot, of(Some(Type::I64), b).filter(checked)?)
        }
        6 => Inst::Store(Slot(0), of(Some(Type::of(SLOTS[0].0)), a)?),
        7 | 8 => {
            let ops = [Unary::Neg, Unary::Abs, Unary::Sqrt, Unary::Round, Unary::Floor];
            let more = [Unary::Ceil, Unary::Trunc, Unary::Not, Unary::Wrap(dtype)];
            let ty = TYPES[b as usize % 5];
            let typed = [Unary::RoundTo(dtype), Unary::Convert(ty), Unary::Bitcast(ty)];
            let all: Vec<Unary> = ops.into_iter().chain(more).chain(typed).collect();
            Inst::Unary(all[op as usize % all.len()], any?)
        }
        9 | 10 => {
            let all = [Add, Sub, Mul, Div, Rem, Max, Min, And, Or, Xor, Shl, Sar, Shr];
            Inst::Binary(all[op as usize % 13], any?, same(any, b)?)
        }
        11 => Inst::Fma(any?, same(any, b)?, same(any, c)?),
        12 => {
            let all =
                [Compare::Eq, Compare::Ne, Compare::Lt, Compare::Le, Compare::Gt, Compare::Ge];
            Inst::Compare(all[op as usize % 6], any?, same(any, b)?)
        }
        _ => Inst::Select(of(Some(Type::Mask), c)?, any?, same(any, b)?),
    };
    let known = verify::Known { types, insts };
    let slots = slots();
    verify::result_type(&inst, &slots, &TYPES, &known).is_ok().then_some(inst)
}

const SLOTS: [(DType, Stride); 4] = [
    (DType::F32, Stride::Unit),
    (DType::U8, Stride::Splat),
    (DType::F16, Stride::Far),
    (DType::Bool, Stride::Unit),
];

fn slots() -> Vec<SlotDecl> {
    SLOTS.map(|(dtype, stride)| SlotDecl { dtype, stride }).into()
}

/// A verified program of the choices.
fn generate(choices: &[Choice]) -> Program {
    let mut program = Program { slots: slots(), params: TYPES.into(), ..Program::default() };
    program.insts = (0..5).map(|p| Inst::Param(Param(p))).collect();
    for &choice in choices {
        let types = verify::types(&program).unwrap();
        program.insts.extend(instruction(&types, &program.insts, choice));
    }
    let types = verify::types(&program).unwrap();
    for (i, ty) in types.iter().enumerate().filter(|(i, _)| i % 3 == 0) {
        let value = Value(i as u32);
        match ty {
            None => {}
            Some(Type::Mask) => {
                program.accumulators.push(Accumulator { combine: Combine::Or, value, index: None });
            }
            Some(Type::I64) => {
                let combine = Combine::ArgMin;
                program.accumulators.push(Accumulator { combine, value, index: Some(value) });
            }
            Some(_) => program.yields.push(value),
        }
    }
    program
}

fn programs() -> impl Strategy<Value = Program> {
    let choice = (0u8..14, any::<u8>(), any::<u32>(), any::<u32>(), any::<u32>(), any::<i64>());
    prop::collection::vec(choice, 0..60).prop_map(|choices| generate(&choices))
}

/// A lane as bits, with all NaN made one: folding keeps numbers, not the payload of a NaN.
fn bits(lane: Lane) -> Scalar {
    match lane {
        Lane::F32(x) if x.is_nan() => Scalar::new(f32::NAN),
        Lane::F64(x) if x.is_nan() => Scalar::new(f64::NAN),
        lane => lane.scalar(),
    }
}

proptest! {
    #[test]
    fn what_is_printed_parses_to_the_same(program in programs()) {
        let text = program.to_string();
        let read: Program = text.parse().unwrap_or_else(|e| panic!("{e}\n{text}"));
        prop_assert_eq!(read, program);
    }

    #[test]
    fn building_again_changes_no_bit(program in programs(), seed in any::<u64>()) {
        let b = Builder::new();
        let slots: Vec<Slot> = program.slots.iter().map(|s| b.slot(s.dtype, s.stride)).collect();
        let arguments: Vec<Value> = program.params.iter().map(|&ty| b.param(ty)).collect();
        for v in b.inline(&program, &arguments, &slots) {
            b.yields(v);
        }
        let built = b.finish();
        verify(&built).unwrap();
        prop_assert!(built.insts.len() <= program.insts.len());
        let results = |program: &Program| {
            let mut world = World::new(program, seed);
            let mut accumulators = reference::accumulators(program);
            let yields = reference::run(program, &mut world, &mut accumulators);
            let lanes = accumulators.iter().map(Accumulate::result).chain(yields);
            let stores = world.stores.iter().map(|&(slot, x)| (slot, bits(Lane::widen(x))));
            (lanes.map(bits).collect::<Vec<_>>(), stores.collect::<Vec<_>>())
        };
        // NaN bits survive a bitcast to integers, so only programs without one are compared.
        let looks_at_bits = |i: &Inst| {
            matches!(i, Inst::Unary(Unary::Bitcast(Type::I32 | Type::I64), _))
        };
        if !program.insts.iter().any(looks_at_bits) {
            prop_assert_eq!(results(&program), results(&built));
        }
    }
}

#[test]
fn values_are_numbered() {
    let b = Builder::new();
    let (x, y) = (b.param(Type::F32), b.param(Type::F32));
    assert_eq!(b.add(x, y), b.add(y, x));
    assert_eq!(b.fma(x, y, x), b.fma(y, x, x));
    assert_ne!(b.sub(x, y), b.sub(y, x));
    let slot = b.slot(DType::F32, Stride::Unit);
    let first = b.load(slot);
    assert_eq!(first, b.load(slot));
    b.store(slot, x);
    assert_ne!(first, b.load(slot), "a store makes what was loaded stale");
}

#[test]
fn only_exact_identities_fold() {
    let b = Builder::new();
    let (x, n) = (b.param(Type::F32), b.param(Type::I32));
    let f = |x| b.f(Type::F32, x);
    assert_eq!(b.add(x, f(-0.0)), x);
    assert_ne!(b.add(x, f(0.0)), x, "-0 + 0 is +0");
    assert_eq!(b.sub(x, f(0.0)), x);
    assert_ne!(b.sub(x, f(-0.0)), x, "-0 - -0 is +0");
    assert_eq!(b.mul(x, f(1.0)), x);
    assert_ne!(b.mul(x, f(0.0)), f(0.0), "∞ · 0 is NaN");
    assert_ne!(b.sub(x, x), f(0.0), "∞ - ∞ is NaN");
    assert_eq!(b.mul(n, b.i(Type::I32, 0)), b.i(Type::I32, 0));
    assert_eq!(b.sub(n, n), b.i(Type::I32, 0));
    assert_eq!(b.div(x, f(4.0)), b.mul(x, f(0.25)));
    assert_ne!(b.div(x, f(3.0)), b.mul(x, f(1.0 / 3.0)));
    assert_eq!(b.fma(f(1.0), x, x), b.add(x, x));
    assert_eq!(b.add(f(0.5), f(0.25)), f(0.75));
    assert_eq!(b.neg(b.neg(x)), x);
    assert_eq!(b.select(b.lt(f(1.0), f(2.0)), x, f(0.0)), x);
    let index = b.index(0);
    let checked = b.check_index(index, 10, 1);
    assert_eq!(b.check_index(checked, 12, 2), checked);
    assert_ne!(b.check_index(checked, 9, 2), checked);
}

#[test]
fn masks_have_logic_only() {
    let b = Builder::new();
    let (p, q, r) = (b.param(Type::Mask), b.param(Type::Mask), b.param(Type::Mask));
    b.yields(b.select(r, p, q));
    b.yields(b.le(p, q));
    b.yields(b.max(p, q));
    let program = b.finish();
    verify(&program).unwrap();
    insta::assert_snapshot!(program, @"
    param p0: mask
    param p1: mask
    param p2: mask
    v0 = param p0
    v1 = param p1
    v2 = param p2
    v3 = and v0, v2
    v4 = not v2
    v5 = and v1, v4
    v6 = or v3, v5
    v7 = not v0
    v8 = or v1, v7
    v9 = or v0, v1
    yield v6
    yield v8
    yield v9
    ");
}

#[test]
fn what_nothing_uses_is_removed() {
    let b = Builder::new();
    let x = b.param(Type::F32);
    b.sqrt(x);
    b.check_index(b.index(0), 5, 0);
    b.yields(b.neg(x));
    insta::assert_snapshot!(b.finish(), @"
    param p0: f32
    v0 = param p0
    v1 = index 0
    v2 = check_index v1, 5, 0
    v3 = neg v0
    yield v3
    ");
}

#[test]
fn violations_are_found() {
    let check = |text: &str, at: Place, rule: Rule| {
        let program: Program = text.parse().unwrap();
        assert_eq!(verify(&program), Err(verify::Violation { at, rule }), "{text}");
    };
    let inst = |i| Place::Inst(Value(i));
    check("v0 = neg v0", inst(0), Rule::NotYetDefined(Value(0)));
    check("v0 = load s0", inst(0), Rule::NoSlot(0));
    check("v0 = param p0", inst(0), Rule::NoParam(0));
    check("yield v0", Place::Yield(0), Rule::NotYetDefined(Value(0)));
    let x = "param p0: f32\nparam p1: mask\nparam p2: i64\nslot s0: f32 unit\nslot s1: f32 splat\n\
             v0 = param p0\nv1 = param p1\nv2 = param p2\nv3 = store s0, v0\n";
    let check = |line: &str, at, rule| check(&format!("{x}{line}"), at, rule);
    check("v4 = neg v3", inst(4), Rule::NoValue(Value(3)));
    check("v4 = neg v1", inst(4), Rule::Undefined(Type::Mask));
    check("v4 = lt v1, v1", inst(4), Rule::Undefined(Type::Mask));
    check("v4 = select v1, v1, v1", inst(4), Rule::Undefined(Type::Mask));
    check("v4 = sqrt v2", inst(4), Rule::Undefined(Type::I64));
    check("v4 = rem v0, v0", inst(4), Rule::Undefined(Type::F32));
    check("v4 = and v0, v0", inst(4), Rule::Undefined(Type::F32));
    check("v4 = add v0, v2", inst(4), Rule::Differ(Type::F32, Type::I64));
    check("v4 = fma v0, v0, v2", inst(4), Rule::Differ(Type::F32, Type::I64));
    check("v4 = select v0, v2, v2", inst(4), Rule::Expected(Type::Mask, Type::F32));
    check("v4 = bitcast i64, v0", inst(4), Rule::Differ(Type::F32, Type::I64));
    check("v4 = bitcast f32, v0", inst(4), Rule::Differ(Type::F32, Type::F32));
    check("v4 = wrap i64, v2", inst(4), Rule::NotNarrow(DType::I64));
    check("v4 = round_to f16, v2", inst(4), Rule::Expected(Type::F32, Type::I64));
    check("v4 = gather s0, v2", inst(4), Rule::Unchecked(Value(2)));
    check("v4 = check_index v2, 0, 0", inst(4), Rule::Bound(0));
    check("v4 = store s1, v0", inst(4), Rule::SplatStore);
    check("fold and v0", Place::Accumulator(0), Rule::Expected(Type::Mask, Type::F32));
    check("fold argmax v0", Place::Accumulator(0), Rule::Index);
    check("fold add v0, v2", Place::Accumulator(0), Rule::Index);
}

#[test]
fn errors_of_the_text_name_the_line() {
    for (text, expected) in [
        ("v1 = param p0", "line 1: expected `v0 = …`, found `v1`"),
        ("slot s0: f32 unit\nslot s2: f32 unit", "line 2: expected s1, found s2"),
        ("v0 = frob v0", "line 1: no instruction is called `frob`"),
        ("v0 = const u8 x", "line 1: expected an element of u8, found `x`"),
        ("v0 = neg v0 v0", "line 1: unexpected `v0`"),
        ("v0 = add v0", "line 1: expected `v` and a number, found ``"),
    ] {
        let error = text.parse::<Program>().unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn the_reference_reads_writes_and_reports() {
    let b = Builder::new();
    let from = b.slot(DType::U8, Stride::Unit);
    let to = b.slot(DType::U8, Stride::Unit);
    let x = b.load(from);
    b.store(to, b.add(x, b.i(Type::I32, 255)));
    let far = b.check_index(b.i(Type::I64, -8), 7, 42);
    let near = b.check_index(b.i(Type::I64, -7), 7, 43);
    b.yields(far);
    b.yields(near);
    let program = b.finish();
    let mut world = World::new(&program, 3);
    let loaded = world.load(Slot(0)).to_i64();
    let yields = reference::run(&program, &mut world, &mut []);
    assert_eq!(world.stores, [(Slot(1), Scalar::from_i64(DType::U8, loaded + 255))]);
    assert_eq!(world.faults, [(42, -8, 7)]);
    let zero = Scalar::new(0i64);
    assert_eq!(yields.into_iter().map(bits).collect::<Vec<_>>(), [zero, zero]);
}

#[test]
fn accumulators_start_fold_and_merge() {
    let nan = f64::NAN;
    let fold = |combine, values: &[f64]| {
        let mut all = Accumulate::new(combine, Type::F64);
        let mut halves = [all, all];
        for (i, &x) in values.iter().enumerate() {
            all.update(Lane::F64(x), Some(i as i64));
            halves[i % 2].update(Lane::F64(x), Some(i as i64));
        }
        let [mut odd_last, mut even] = halves;
        odd_last.merge(&even.clone());
        even.merge(&halves[0]);
        assert_eq!(bits(odd_last.result()), bits(all.result()), "{combine:?} {values:?}");
        assert_eq!(bits(even.result()), bits(all.result()), "{combine:?} {values:?}");
        bits(all.result())
    };
    for (combine, values, expected) in [
        (Combine::Add, &[][..], 0.0),
        (Combine::Add, &[1.0, 2.0, 4.0], 7.0),
        (Combine::Mul, &[], 1.0),
        (Combine::Mul, &[2.0, 4.0], 8.0),
        (Combine::Max, &[], f64::NEG_INFINITY),
        (Combine::Max, &[-2.0, nan, 1.0], nan),
        (Combine::Max, &[-0.0, 0.0], 0.0),
        (Combine::Min, &[], f64::INFINITY),
        (Combine::Min, &[-2.0, 1.0, -3.0], -3.0),
        (Combine::Min, &[0.0, -0.0], -0.0),
    ] {
        assert_eq!(fold(combine, values), Scalar::new(expected), "{combine:?} {values:?}");
    }
    for (combine, values, expected) in [
        (Combine::ArgMax, &[1.0, 3.0, 3.0, 2.0][..], 1),
        (Combine::ArgMax, &[f64::NEG_INFINITY; 2], 0),
        (Combine::ArgMax, &[1.0, nan, 9.0, nan], 1),
        (Combine::ArgMax, &[-0.0, 0.0], 0),
        (Combine::ArgMin, &[1.0, -3.0, 2.0, -3.0], 1),
        (Combine::ArgMin, &[1.0, -3.0, nan], 2),
        (Combine::ArgMin, &[], i64::MAX),
    ] {
        assert_eq!(fold(combine, values), Scalar::new(expected), "{combine:?} {values:?}");
    }
    let mut both = Accumulate::new(Combine::And, Type::Mask);
    both.update(Lane::Mask(true), None);
    assert!(matches!(both.result(), Lane::Mask(true)));
    both.update(Lane::Mask(false), None);
    assert!(matches!(both.result(), Lane::Mask(false)));
}
