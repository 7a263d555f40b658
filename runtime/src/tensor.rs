//! Dense row-major tensors: owned (an [`Arena`]), mapped from a file, or borrowed.
//!
//! Invariants: `data.len() == shape.elements() * dtype.size()`; a `bool` tensor holds only the
//! bytes 0 and 1; the first byte is aligned for the element type.

#![allow(unsafe_code, reason = "typed slices over untyped storage; each block argues its safety")]

use crate::arena::Arena;
use crate::dtype::{DType, Element};
use memmap2::Mmap;
use smallvec::SmallVec;
use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

/// The sizes of a tensor's axes, outermost first; empty for a scalar.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Shape(pub SmallVec<[usize; 4]>);

impl Shape {
    /// The shape with these axis sizes.
    pub fn new(dims: &[usize]) -> Shape {
        Shape(SmallVec::from_slice(dims))
    }
    /// Number of elements, or `None` where the product overflows.
    pub fn checked_elements(&self) -> Option<usize> {
        self.0.iter().try_fold(1usize, |n, &d| n.checked_mul(d))
    }
    /// Number of elements (1 for a scalar). Panics where the product overflows.
    pub fn elements(&self) -> usize {
        self.checked_elements().expect("shape product overflows")
    }
    /// Number of axes.
    pub fn rank(&self) -> usize {
        self.0.len()
    }
    /// Row-major strides in elements.
    pub fn strides(&self) -> SmallVec<[usize; 4]> {
        let mut strides = SmallVec::from_elem(1, self.rank());
        for axis in (1..self.rank()).rev() {
            strides[axis - 1] = strides[axis] * self.0[axis];
        }
        strides
    }
}

impl std::ops::Deref for Shape {
    type Target = [usize];
    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl From<&[usize]> for Shape {
    fn from(dims: &[usize]) -> Shape {
        Shape::new(dims)
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(dims: [usize; N]) -> Shape {
        Shape::new(&dims)
    }
}

impl FromIterator<usize> for Shape {
    fn from_iter<I: IntoIterator<Item = usize>>(dims: I) -> Shape {
        Shape(dims.into_iter().collect())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, d) in self.0.iter().enumerate() {
            write!(f, "{}{d}", if i == 0 { "" } else { ", " })?;
        }
        f.write_str("]")
    }
}

#[derive(Clone)]
enum Storage {
    Owned(Arc<Arena>),
    Mapped { map: Arc<Mmap>, offset: usize },
}

/// A dense row-major tensor. Cloning shares the storage; writing to shared storage copies it.
#[derive(Clone)]
pub struct Tensor {
    dtype: DType,
    shape: Shape,
    storage: Storage,
}

impl Tensor {
    /// A tensor of zeros.
    ///
    /// # Panics
    /// Where its bytes are more than a `usize` counts. Ends the process where there is no memory.
    pub fn zeros(dtype: DType, shape: impl Into<Shape>) -> Tensor {
        let shape = shape.into();
        let bytes = shape.elements().checked_mul(dtype.size()).expect("tensor size overflows");
        Tensor { dtype, shape, storage: Storage::Owned(Arc::new(Arena::new(bytes))) }
    }

    /// A tensor of `values` in row-major order.
    ///
    /// # Panics
    /// Where their number is not that of `shape`.
    pub fn from_slice<T: Element>(values: &[T], shape: impl Into<Shape>) -> Tensor {
        let mut tensor = Tensor::zeros(T::DTYPE, shape);
        tensor.as_mut_slice::<T>().copy_from_slice(values);
        tensor
    }

    /// A rank-0 tensor.
    pub fn scalar<T: Element>(value: T) -> Tensor {
        Tensor::from_slice(&[value], [])
    }

    /// A tensor over the bytes of a mapped file, from `offset` on.
    ///
    /// `None` where the file is too short, `offset` is misaligned for `dtype`, the size overflows,
    /// or `dtype` is `bool` (whose bytes would have to be checked).
    pub fn from_map(
        dtype: DType,
        shape: impl Into<Shape>,
        map: Arc<Mmap>,
        offset: usize,
    ) -> Option<Tensor> {
        let shape = shape.into();
        let bytes = shape.checked_elements()?.checked_mul(dtype.size())?;
        let end = offset.checked_add(bytes)?;
        let aligned = (map.as_ptr() as usize + offset).is_multiple_of(dtype.size());
        let fits = end <= map.len() && aligned && dtype != DType::Bool;
        fits.then_some(Tensor { dtype, shape, storage: Storage::Mapped { map, offset } })
    }

    /// A tensor whose bytes (row-major, little-endian) are read from `source`.
    ///
    /// Memory grows as bytes arrive, to at most twice what has been read: a size that a lying
    /// header promised is never allocated on trust.
    ///
    /// # Errors
    /// What reading fails with; `UnexpectedEof` where the source ends first.
    ///
    /// # Panics
    /// For `bool`, whose bytes would have to be checked: read `u8` and call
    /// [`Tensor::try_into_bool`]. Where the bytes are more than a `usize` counts.
    pub fn read_from(
        dtype: DType,
        shape: impl Into<Shape>,
        source: &mut dyn Read,
    ) -> io::Result<Tensor> {
        const FIRST: usize = 1 << 16;
        assert_ne!(dtype, DType::Bool, "bool bytes must be checked");
        let shape = shape.into();
        let bytes = shape.elements().checked_mul(dtype.size()).expect("tensor size overflows");
        let mut read = Arena::new(0);
        while read.len() < bytes {
            let filled = read.len();
            let upto = bytes.min(filled.saturating_mul(2).max(FIRST));
            let mut wider = Arena::try_new(upto).ok_or(io::ErrorKind::OutOfMemory)?;
            let (before, room) = wider.as_mut_slice().split_at_mut(filled);
            before.copy_from_slice(read.as_slice());
            source.read_exact(room)?;
            read = wider;
        }
        Ok(Tensor { dtype, shape, storage: Storage::Owned(Arc::new(read)) })
    }

    /// A `u8` tensor as `bool`, or the index and value of its first byte that is neither 0 nor 1.
    /// Panics for another element type.
    pub fn try_into_bool(mut self) -> Result<Tensor, (usize, u8)> {
        assert_eq!(self.dtype, DType::U8, "bool is made of u8");
        // A mapped file could still change after the check; owned storage cannot.
        let bytes = self.bytes_mut();
        if let Some(at) = bytes.iter().position(|&b| b > 1) {
            return Err((at, bytes[at]));
        }
        self.dtype = DType::Bool;
        Ok(self)
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }
    /// The sizes of the axes.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }
    /// Whether the bytes lie in a mapped file rather than in memory of their own.
    pub fn is_mapped(&self) -> bool {
        matches!(self.storage, Storage::Mapped { .. })
    }
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.elements()
    }
    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same elements under another shape.
    ///
    /// # Panics
    /// Where that has another number of elements.
    pub fn reshape(mut self, shape: impl Into<Shape>) -> Tensor {
        let shape = shape.into();
        assert_eq!(shape.elements(), self.len(), "reshape keeps the number of elements");
        self.shape = shape;
        self
    }

    /// The bytes of the elements, row-major, in the host's byte order.
    pub fn as_bytes(&self) -> &[u8] {
        let bytes = self.len() * self.dtype.size();
        match &self.storage {
            Storage::Owned(arena) => &arena.as_slice()[..bytes],
            Storage::Mapped { map, offset } => &map[*offset..*offset + bytes],
        }
    }

    /// The bytes, for writing; storage that is shared or mapped is copied first.
    ///
    /// Not public, because a `bool` tensor must hold only 0 and 1.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        let bytes = self.len() * self.dtype.size();
        if matches!(self.storage, Storage::Mapped { .. }) {
            let mut owned = Tensor::zeros(self.dtype, self.shape.clone());
            owned.bytes_mut().copy_from_slice(self.as_bytes());
            *self = owned;
        }
        let Storage::Owned(arena) = &mut self.storage else { unreachable!("made owned above") };
        &mut Arc::make_mut(arena).as_mut_slice()[..bytes]
    }

    /// The elements. Panics where `T` is not the element type.
    pub fn as_slice<T: Element>(&self) -> &[T] {
        self.view().as_slice()
    }

    /// The elements, for writing; copies storage that is shared.
    ///
    /// Panics where `T` is not the element type.
    pub fn as_mut_slice<T: Element>(&mut self) -> &mut [T] {
        assert_eq!(T::DTYPE, self.dtype, "element type of the slice");
        let len = self.len();
        let bytes = self.bytes_mut();
        // SAFETY: owned storage is 64-byte aligned, holds `len` elements of T (checked above), and
        // every byte pattern written through `&mut [T]` is a valid T.
        unsafe { std::slice::from_raw_parts_mut(bytes.as_mut_ptr().cast::<T>(), len) }
    }

    /// A pointer to the first byte for compiled code to write through; copies shared storage.
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.bytes_mut().as_mut_ptr()
    }

    /// The tensor as a borrowed view.
    pub fn view(&self) -> TensorView<'_> {
        TensorView { dtype: self.dtype, shape: self.shape.clone(), bytes: self.as_bytes() }
    }

    /// Whether this handle is the only one on owned storage, so that it may be written in place.
    pub fn is_unique(&mut self) -> bool {
        match &mut self.storage {
            Storage::Owned(arena) => Arc::get_mut(arena).is_some(),
            Storage::Mapped { .. } => false,
        }
    }

    /// All elements as `f64`, row-major.
    pub fn to_f64_vec(&self) -> Vec<f64> {
        crate::with_element!(self.dtype, T => {
            self.as_slice::<T>().iter().map(|x| x.to_f64()).collect()
        })
    }

    /// A tensor of `dtype` from `f64` values (integers truncate and saturate).
    ///
    /// # Panics
    /// Where their number is not that of `shape`.
    pub fn from_f64_slice(dtype: DType, values: &[f64], shape: impl Into<Shape>) -> Tensor {
        let mut tensor = Tensor::zeros(dtype, shape);
        crate::with_element!(dtype, T => {
            let out = tensor.as_mut_slice::<T>();
            assert_eq!(out.len(), values.len(), "number of values");
            for (o, v) in out.iter_mut().zip(values) {
                *o = <T as Element>::from_f64(*v);
            }
        });
        tensor
    }
}

impl PartialEq for Tensor {
    /// Same type, shape and bits.
    fn eq(&self, other: &Tensor) -> bool {
        self.dtype == other.dtype
            && self.shape == other.shape
            && self.as_bytes() == other.as_bytes()
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head: Vec<f64> = self.to_f64_vec().into_iter().take(8).collect();
        write!(f, "{}{} {head:?}", self.dtype, self.shape)
    }
}

impl fmt::Debug for TensorView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.dtype, self.shape)
    }
}

/// A borrowed dense row-major tensor: what a compiled function reads without copying.
#[derive(Clone)]
pub struct TensorView<'a> {
    dtype: DType,
    shape: Shape,
    bytes: &'a [u8],
}

impl<'a> TensorView<'a> {
    /// A view of `values` in row-major order. Panics where their number is not that of `shape`.
    pub fn new<T: Element>(values: &'a [T], shape: impl Into<Shape>) -> TensorView<'a> {
        let shape = shape.into();
        assert_eq!(shape.elements(), values.len(), "number of values");
        // SAFETY: the bytes of initialised elements without padding; the lifetime is kept.
        let bytes = unsafe {
            std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), size_of_val(values))
        };
        TensorView { dtype: T::DTYPE, shape, bytes }
    }
    /// The element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }
    /// The sizes of the axes.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }
    /// The bytes of the elements.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }
    /// The elements. Panics where `T` is not the element type.
    pub fn as_slice<T: Element>(&self) -> &'a [T] {
        assert_eq!(T::DTYPE, self.dtype, "element type of the slice");
        // SAFETY: by the module's invariants the bytes are aligned, of the right number, and
        // valid values of T.
        unsafe {
            std::slice::from_raw_parts(self.bytes.as_ptr().cast::<T>(), self.shape.elements())
        }
    }
    /// An owned copy.
    pub fn to_tensor(&self) -> Tensor {
        let mut tensor = Tensor::zeros(self.dtype, self.shape.clone());
        tensor.bytes_mut().copy_from_slice(self.bytes);
        tensor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_takes_the_tensors_bytes_and_no_more() {
        let bytes: Vec<u8> = (0..=255).cycle().take(200_010).collect();
        let mut source = &bytes[..];
        let tensor = Tensor::read_from(DType::I16, [1000, 100], &mut source).unwrap();
        assert_eq!(source.len(), 10);
        assert_eq!(tensor.as_bytes(), &bytes[..200_000]);
        let short = Tensor::read_from(DType::U8, [11], &mut source).unwrap_err();
        assert_eq!(short.kind(), io::ErrorKind::UnexpectedEof);
        assert!(Tensor::read_from(DType::F64, [0, 3], &mut io::empty()).unwrap().is_empty());
    }

    #[test]
    fn bool_is_made_only_of_zeros_and_ones() {
        let good = Tensor::from_slice(&[0u8, 1, 1], [3]).try_into_bool().unwrap();
        assert_eq!(good.as_slice::<bool>(), [false, true, true]);
        assert_eq!(Tensor::from_slice(&[0u8, 1, 5], [3]).try_into_bool(), Err((2, 5)));
    }

    #[test]
    fn writing_to_a_clone_leaves_the_other_as_it_is() {
        let mut a = Tensor::from_slice(&[1.0f32, 2.0], [2]);
        let b = a.clone();
        assert!(!a.is_unique());
        a.as_mut_slice::<f32>()[0] = 5.0;
        assert_eq!((a.as_slice::<f32>(), b.as_slice::<f32>()), (&[5.0, 2.0][..], &[1.0, 2.0][..]));
        assert!(a.is_unique());
        assert_eq!(b.view().to_tensor(), b);
    }

    #[test]
    fn shapes_count_and_stride() {
        let shape = Shape::new(&[2, 3, 4]);
        assert_eq!((shape.elements(), shape.strides().to_vec()), (24, vec![12, 4, 1]));
        assert_eq!(Shape::new(&[]).elements(), 1);
        assert_eq!(Shape::new(&[usize::MAX, 2]).checked_elements(), None);
        assert_eq!(shape.to_string(), "[2, 3, 4]");
    }
}
