//! Operations on a group of lanes, as Cranelift instructions.
//!
//! A group is one lane or a multiple of four. A value of one lane is a scalar; a value of more is
//! several 128-bit vectors, as many as its lanes need: programs that mix 32-bit and 64-bit
//! lanes need no case of their own. A mask of one lane is an `i8` of 0 or 1; a mask of more has
//! all-ones or zero lanes of 32 or 64 bits, and is brought to the width of what it meets.
//!
//! Invariant: every operation gives the same bits whatever the size of the group, so that the tail
//! of a loop agrees with its middle. (NaN payloads excepted, which nothing depends on.)
//!
//! Neighbours: `arith` and `convert` add the arithmetic, `memory` loads and stores; `body` emits
//! programs with them.

use crate::vector::Type;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, ConstantData, Endianness, InstBuilder, MemFlagsData, types};
use cranelift_frontend::FunctionBuilder;
use smallvec::{SmallVec, smallvec};
use tensc_runtime::Scalar;

/// The vectors (or the one scalar) of a value.
pub(super) type Parts = SmallVec<[ir::Value; 4]>;

/// The bits of a Cranelift vector.
const VECTOR_BITS: u32 = 128;

/// A value of a group of lanes.
#[derive(Clone, Debug)]
pub(super) struct Lanes {
    pub ty: Type,
    /// Bits of a lane. A mask of several lanes has those of the lanes it was made from.
    pub bits: u32,
    pub parts: Parts,
}

/// Emits operations on groups of `lanes` lanes.
pub(super) struct Group<'e, 'f> {
    pub b: &'e mut FunctionBuilder<'f>,
    pub lanes: u32,
    /// Whether the target is x86: where two lowerings are right, which is cheaper differs.
    pub x86: bool,
}

/// Flags of an access that cannot trap and may be unaligned.
pub(super) fn plain() -> MemFlagsData {
    MemFlagsData::new().with_notrap()
}

/// Flags of a load from memory that nothing writes while the function runs.
pub(super) fn invariant() -> MemFlagsData {
    plain().with_readonly().with_can_move()
}

/// Flags of a bitcast between vectors.
fn little() -> MemFlagsData {
    MemFlagsData::new().with_endianness(Endianness::Little)
}

/// The Cranelift type of one lane of a number.
pub(super) fn lane_type(ty: Type) -> ir::Type {
    match ty {
        Type::I32 => types::I32,
        Type::I64 => types::I64,
        Type::F32 => types::F32,
        Type::F64 => types::F64,
        Type::Mask => types::I8,
    }
}

/// The integer type of a lane of `bits` bits.
pub(super) fn int_type(bits: u32) -> ir::Type {
    if bits == 64 { types::I64 } else { types::I32 }
}

impl Group<'_, '_> {
    /// Whether values are scalars.
    pub fn scalar(&self) -> bool {
        self.lanes == 1
    }

    /// How many parts lanes of `bits` bits need.
    pub fn part_count(&self, bits: u32) -> usize {
        if self.scalar() { 1 } else { (self.lanes * bits / VECTOR_BITS) as usize }
    }

    /// The Cranelift type of a part.
    pub fn part_type(&self, ty: Type, bits: u32) -> ir::Type {
        if self.scalar() {
            return lane_type(ty);
        }
        let lane = if ty == Type::Mask { int_type(bits) } else { lane_type(ty) };
        lane.by(VECTOR_BITS / bits).expect("a vector of 128 bits")
    }

    /// The bits of a lane of `ty` as this group first makes it.
    pub fn bits_of(ty: Type) -> u32 {
        ty.bits().unwrap_or(32)
    }

    /// The Cranelift types of the parts of a value, with masks in 32 bits.
    pub fn part_types(&self, ty: Type) -> SmallVec<[ir::Type; 4]> {
        let bits = Self::bits_of(ty);
        SmallVec::from_elem(self.part_type(ty, bits), self.part_count(bits))
    }

    /// A value from parts of the types that [`Group::part_types`] gives.
    pub fn assemble(&self, ty: Type, parts: &[ir::Value]) -> Lanes {
        Lanes { ty, bits: Self::bits_of(ty), parts: parts.into() }
    }

    /// The parts with the types that [`Group::part_types`] gives.
    pub fn canonical(&mut self, x: &Lanes) -> Parts {
        if x.ty == Type::Mask { self.widen_mask(x, 32).parts } else { x.parts.clone() }
    }

    /// The same element in every lane.
    pub fn constant(&mut self, scalar: Scalar) -> Lanes {
        let ty = Type::of(scalar.dtype());
        let bits = Self::bits_of(ty);
        let lane: u64 = match ty {
            Type::F32 => u64::from((scalar.to_f64() as f32).to_bits()),
            Type::F64 | Type::I64 => scalar.bits(),
            Type::I32 => scalar.to_i64() as u64,
            Type::Mask if self.scalar() => scalar.to_i64() as u64,
            Type::Mask => 0u64.wrapping_sub(scalar.to_i64() as u64),
        };
        let part = self.bits_constant(self.part_type(ty, bits), lane);
        Lanes { ty, bits, parts: SmallVec::from_elem(part, self.part_count(bits)) }
    }

    /// A constant of a Cranelift type, each lane with these (low) bits.
    pub fn bits_constant(&mut self, ty: ir::Type, lane: u64) -> ir::Value {
        if ty.is_vector() {
            let bytes = lane.to_le_bytes();
            let lane = &bytes[..ty.lane_type().bytes() as usize];
            let data = lane.repeat(ty.lane_count() as usize);
            return self.vector_constant(ty, data);
        }
        match ty {
            types::F32 => self.b.ins().f32const(f32::from_bits(lane as u32)),
            types::F64 => self.b.ins().f64const(f64::from_bits(lane)),
            types::I32 => self.b.ins().iconst(ty, i64::from(lane as u32)),
            types::I8 => self.b.ins().iconst(ty, i64::from(lane as u8)),
            _ => self.b.ins().iconst(ty, lane as i64),
        }
    }

    fn vector_constant(&mut self, ty: ir::Type, data: Vec<u8>) -> ir::Value {
        let handle = self.b.func.dfg.constants.insert(ConstantData::from(data));
        self.b.ins().vconst(ty, handle)
    }

    /// A scalar in every lane.
    pub fn splat(&mut self, ty: Type, x: ir::Value) -> Lanes {
        let bits = Self::bits_of(ty);
        if self.scalar() {
            return Lanes { ty, bits, parts: smallvec![x] };
        }
        let x = match ty {
            Type::Mask => {
                let wide = self.b.ins().uextend(types::I32, x);
                self.b.ins().ineg(wide)
            }
            _ => x,
        };
        let part = self.part_type(ty, bits);
        let part = self.b.ins().splat(part, x);
        Lanes { ty, bits, parts: SmallVec::from_elem(part, self.part_count(bits)) }
    }

    /// `start`, `start + 1`, … as I64 lanes.
    pub fn count_from(&mut self, start: ir::Value) -> Lanes {
        let mut lanes = self.splat(Type::I64, start);
        if self.scalar() {
            return lanes;
        }
        for (i, part) in lanes.parts.iter_mut().enumerate() {
            let (first, second) = (2 * i as u64, 2 * i as u64 + 1);
            let data = [first.to_le_bytes(), second.to_le_bytes()].concat();
            let offsets = self.vector_constant(types::I64X2, data);
            *part = self.b.ins().iadd(*part, offsets);
        }
        lanes
    }

    /// Applies `f` to each part, which keeps the type.
    pub fn map(
        &mut self,
        x: &Lanes,
        mut f: impl FnMut(&mut Self, ir::Value) -> ir::Value,
    ) -> Lanes {
        let parts = x.parts.iter().map(|&p| f(self, p)).collect();
        Lanes { ty: x.ty, bits: x.bits, parts }
    }

    /// Applies `f` to the parts of two values of one type, which keeps the type.
    pub fn zip(
        &mut self,
        x: &Lanes,
        y: &Lanes,
        mut f: impl FnMut(&mut Self, ir::Value, ir::Value) -> ir::Value,
    ) -> Lanes {
        let pairs = x.parts.iter().zip(&y.parts);
        let parts = pairs.map(|(&p, &q)| f(self, p, q)).collect();
        Lanes { ty: x.ty, bits: x.bits, parts }
    }

    /// One lane as a scalar.
    pub fn lane(&mut self, x: &Lanes, lane: u32) -> ir::Value {
        if self.scalar() {
            return x.parts[0];
        }
        let each = VECTOR_BITS / x.bits;
        let part = x.parts[(lane / each) as usize];
        let value = self.b.ins().extractlane(part, (lane % each) as u8);
        match x.ty {
            Type::Mask => self.b.ins().icmp_imm_s(IntCC::NotEqual, value, 0),
            _ => value,
        }
    }

    /// The value whose lanes are these scalars of a number type.
    pub fn gather_lanes(&mut self, ty: Type, scalars: &[ir::Value]) -> Lanes {
        let bits = Self::bits_of(ty);
        if self.scalar() {
            return Lanes { ty, bits, parts: scalars.into() };
        }
        let vector = self.part_type(ty, bits);
        let each = (VECTOR_BITS / bits) as usize;
        let parts = scalars.chunks(each).map(|chunk| self.pack_lanes(vector, chunk)).collect();
        Lanes { ty, bits, parts }
    }

    fn pack_lanes(&mut self, vector: ir::Type, scalars: &[ir::Value]) -> ir::Value {
        let mut packed = self.b.ins().scalar_to_vector(vector, scalars[0]);
        for (i, &x) in scalars.iter().enumerate().skip(1) {
            packed = self.b.ins().insertlane(packed, x, i as u8);
        }
        packed
    }

    /// Applies `f`, which works on scalars, to each lane: for what vectors cannot do.
    pub fn each_lane(
        &mut self,
        operands: &[&Lanes],
        ty: Type,
        mut f: impl FnMut(&mut Self, &[ir::Value]) -> ir::Value,
    ) -> Lanes {
        let mut results: SmallVec<[ir::Value; 16]> = SmallVec::new();
        for lane in 0..self.lanes {
            let scalars: SmallVec<[ir::Value; 2]> =
                operands.iter().map(|x| self.lane(x, lane)).collect();
            results.push(f(self, &scalars));
        }
        self.gather_lanes(ty, &results)
    }

    /// The same bits as another Cranelift type of the size.
    pub fn cast(&mut self, to: ir::Type, x: ir::Value) -> ir::Value {
        let from = self.b.func.dfg.value_type(x);
        if from == to {
            return x;
        }
        let flags = if to.is_vector() { little() } else { MemFlagsData::new() };
        self.b.ins().bitcast(to, flags, x)
    }

    /// A mask with lanes of `bits` bits.
    pub fn widen_mask(&mut self, mask: &Lanes, bits: u32) -> Lanes {
        debug_assert_eq!(mask.ty, Type::Mask);
        if self.scalar() || mask.bits == bits {
            return mask.clone();
        }
        let parts = if bits == 64 {
            self.widen_halves(&mask.parts)
        } else {
            self.even_lanes_of_pairs(&mask.parts)
        };
        Lanes { ty: Type::Mask, bits, parts }
    }

    /// I32 vectors sign-extended to twice as many I64 vectors.
    pub fn widen_halves(&mut self, parts: &[ir::Value]) -> Parts {
        let mut wide = Parts::new();
        for &part in parts {
            wide.push(self.b.ins().swiden_low(part));
            wide.push(self.b.ins().swiden_high(part));
        }
        wide
    }

    /// I64 vectors cut to the low halves of their lanes: half as many I32 vectors.
    pub fn even_lanes_of_pairs(&mut self, parts: &[ir::Value]) -> Parts {
        let pairs = parts.chunks(2);
        pairs.map(|pair| self.shuffle32(types::I32X4, pair[0], pair[1], [0, 2, 4, 6])).collect()
    }

    /// Four 32-bit lanes of the eight of `x` and `y`, as a vector of type `to`.
    pub fn shuffle32(
        &mut self,
        to: ir::Type,
        x: ir::Value,
        y: ir::Value,
        lanes: [u8; 4],
    ) -> ir::Value {
        let bytes: Vec<u8> = lanes.iter().flat_map(|&l| (4 * l)..(4 * l + 4)).collect();
        let mask = self.b.func.dfg.immediates.push(ConstantData::from(bytes));
        let (x, y) = (self.cast(types::I8X16, x), self.cast(types::I8X16, y));
        let shuffled = self.b.ins().shuffle(x, y, mask);
        self.cast(to, shuffled)
    }
}
