#!/usr/bin/env python3
"""Derives `coefficients.rs`: minimax polynomials by Lawson iteration, constants by rounding.

    python3 compiler/vector/math/fit.py > compiler/vector/math/coefficients.rs && cargo fmt

Needs mpmath. Each polynomial minimises the largest weighted error on its interval. Its coefficients
are then rounded to the format one at a time, lowest power first, and the others fitted again, so
that each makes up for the rounding of those before it. The largest error that is left is printed
beside the polynomial, as a power of two and relative to the function, not counting evaluation.
"""
import struct
import mpmath as mp
from mpmath import mpf

mp.mp.prec = 240


def round_to(bits, x):
    """The nearest number with `bits` bits of significand."""
    if x == 0:
        return mpf(0)
    with mp.workprec(bits):
        return +x


def least_squares(points, values, weights, powers):
    """Coefficients of sum c_j x^powers[j] with the least weighted squares of errors."""
    n = len(powers)
    rows = [[x**p for p in powers] for x in points]
    a, b = mp.matrix(n, n), mp.matrix(n, 1)
    for row, value, weight in zip(rows, values, weights):
        for i in range(n):
            b[i] += weight * row[i] * value
            for j in range(i, n):
                a[i, j] += weight * row[i] * row[j]
    for i in range(n):
        for j in range(i):
            a[i, j] = a[j, i]
    solution = mp.lu_solve(a, b)
    return [solution[i] for i in range(n)]


def fit(g, w, lo, hi, count, bits):
    """Coefficients of 1, x, x^2, ... rounded to `bits`, and the largest weighted error.

    Lawson: the least squares whose weights are multiplied by the errors they leave, again and
    again, tend to the minimax polynomial.
    """
    size = 12 * (count + 1)
    points = [(lo + hi) / 2 - (hi - lo) / 2 * mp.cos(mp.pi * i / size) for i in range(size + 1)]
    values, scale = [g(x) for x in points], [w(x) for x in points]
    weights = [s * s for s in scale]
    for _ in range(40):
        c = least_squares(points, values, weights, range(count))
        errors = [abs(mp.polyval(c[::-1], x) - v) * s for x, v, s in zip(points, values, scale)]
        total = sum(weight * e for weight, e in zip(weights, errors))
        weights = [weight * e / total for weight, e in zip(weights, errors)]
    fixed = []
    for j in range(count):
        rest = [v - sum(c * x**i for i, c in enumerate(fixed)) for x, v in zip(points, values)]
        c = least_squares(points, rest, weights, range(j, count))
        fixed.append(round_to(bits, c[0]))
    grid = [lo + (hi - lo) * i / 1000 for i in range(1001)]
    return fixed, max(abs(mp.polyval(fixed[::-1], x) - g(x)) * w(x) for x in grid)


def literal(bits, x):
    """The shortest decimal that reads back as x."""
    if bits == 24:
        target = struct.pack("<f", float(x))
        for digits in range(1, 12):
            text = f"{float(x):.{digits}e}"
            if struct.pack("<f", float(text)) == target and mpf(float(text)) != 0:
                value = struct.unpack("<f", struct.pack("<f", float(text)))[0]
                # The table holds f64: the decimal must name the same f32 after one rounding.
                assert mpf(value) == x
                return text
    return repr(float(x)) if "e" in repr(float(x)) or "." in repr(float(x)) else f"{float(x)}.0"


def near0(f, at0, radius="1e-30"):
    """f, but its limit within `radius` of 0, where the quotients below lose everything."""
    return lambda x: f(x) if abs(x) > mpf(radius) else mpf(at0)


def table(name, doc, g, w, interval, counts):
    rows = []
    for bits, count, (lo, hi) in zip((24, 53), counts, interval):
        c, worst = fit(g, w, lo, hi, count, bits)
        rows.append((bits, c, worst))
    show(name, doc, rows)


def show(name, doc, rows):
    """Prints the polynomials for both formats."""
    (_, c32, e32), (_, c64, e64) = rows
    print(f"/// {doc}")
    print(f"/// Error: 2^{mp.nstr(mp.log(e32, 2), 4)} and 2^{mp.nstr(mp.log(e64, 2), 4)}.")
    print(f"pub(super) const {name}: Polynomial = Polynomial {{")
    print("    f32: &[" + ", ".join(literal(24, c) for c in c32) + "],")
    print("    f64: &[" + ", ".join(literal(53, c) for c in c64) + "],")
    print("};")


def split(name, doc, x, keep, parts):
    """x as a sum of parts; all but the last keep only `keep` bits of the significand.

    It may be a pair, of one number for each format.
    """
    print(f"/// {doc}")
    print(f"pub(super) const {name}: Parts = Parts {{")
    both = x if isinstance(x, tuple) else (x, x)
    for label, bits, kept, x in (("f32", 24, keep[0], both[0]), ("f64", 53, keep[1], both[1])):
        rest, out = mpf(x), []
        for i in range(parts):
            part = round_to(kept if i < parts - 1 else bits, rest)
            out.append(part)
            rest -= part
        print(f"    {label}: &[" + ", ".join(literal(bits, p) for p in out) + "],")
    print("};")


def cut(name, doc, x, first):
    """x as a first part, given for each format, and the rest."""
    print(f"/// {doc}")
    print(f"pub(super) const {name}: Parts = Parts {{")
    for label, bits, text in (("f32", 24, first[0]), ("f64", 53, first[1])):
        high = mpf(float.fromhex(text))
        print(f"    {label}: &[{literal(bits, high)}, {literal(bits, round_to(bits, x - high))}],")
    print("};")


print("""//! Coefficients and constants of the functions in this folder: printed by `fit.py`, not edited.
//!
//! Polynomials are in ascending powers. Errors are those of the exact polynomial with these
//! coefficients, in `f32` and in `f64`.
#![allow(clippy::approx_constant, clippy::excessive_precision, reason = "printed by fit.py")]

/// The coefficients for each float type.
pub(super) struct Polynomial {
    pub f32: &'static [f64],
    pub f64: &'static [f64],
}

/// A constant as an unevaluated sum, for each float type.
pub(super) struct Parts {
    pub f32: &'static [f64],
    pub f64: &'static [f64],
}
""")

ln2 = mp.log(2)
h = ln2 / 2 * mpf("1.0005")
table("EXP", "`(eʳ - 1 - r) / r²` for |r| ≤ ln 2 / 2, as it errs in `eʳ - 1`.",
      near0(lambda r: (mp.expm1(r) - r) / r**2, mpf(1) / 2, "1e-25"),
      near0(lambda r: abs(r**2 / mp.expm1(r)), 0, "1e-60"), [(-h, h)] * 2, (5, 10))
table("EXP2", "`(2ʳ - 1 - r ln 2) / r²` for |r| ≤ 1/2, as it errs in `2ʳ - 1`.",
      near0(lambda r: (2**r - 1 - r * ln2) / r**2, ln2**2 / 2, "1e-25"),
      near0(lambda r: abs(r**2 / (2**r - 1)), 0, "1e-60"), [(mpf("-0.5"), mpf("0.5"))] * 2, (5, 10))
table("EXPM1", "`((6/r) ((eʳ + 1)/(eʳ - 1) - 2/r) - 1) / z` in `z = r²/2`, for |r| ≤ ln 2 / 2.",
      near0(lambda z: (6 / mp.sqrt(2 * z) * (1 / mp.tanh(mp.sqrt(z / 2)) - 2 / mp.sqrt(2 * z)) - 1) / z,
            mpf(-1) / 30, "1e-20"), lambda z: z, [(mpf(0), h * h / 2)] * 2, (2, 5))
table("EXP2_CUBE", "`(2ʳ - 1 - r ln 2 - (r ln 2)²/2) / r³` for |r| ≤ 1/2, as it errs in `2ʳ`.",
      near0(lambda r: (2**r - 1 - r * ln2 - (r * ln2)**2 / 2) / r**3, ln2**3 / 6, "1e-18"),
      lambda r: abs(r**3) / 2**r, [(mpf("-0.5"), mpf("0.5"))] * 2, (5, 11))
lo, hi = 1 / mp.sqrt(2) - 1 - mpf("1e-6"), mp.sqrt(2) - 1 + mpf("1e-6")
table("LOG", "`(ln(1 + f) - f) / f²` for √½ ≤ 1 + f ≤ √2, as it errs in `ln(1 + f)`.",
      near0(lambda f: (mp.log1p(f) - f) / f**2, mpf(-1) / 2, "1e-25"),
      near0(lambda f: abs(f**2 / mp.log1p(f)), 0, "1e-60"), [(lo, hi)] * 2, (9, 21))
table("LOG_CUBE", "`(ln(1 + f) - f + f²/2) / f³` for √½ ≤ 1 + f ≤ √2, as it errs in `ln(1 + f)`.",
      near0(lambda f: (mp.log1p(f) - f + f**2 / 2) / f**3, mpf(1) / 3, "1e-18"),
      near0(lambda f: abs(f**3 / mp.log1p(f)), 0, "1e-60"), [(lo, hi)] * 2, (9, 20))
s = (mp.sqrt(2) - 1) / (mp.sqrt(2) + 1) * mpf("1.00001")
table("CBRT", "The cube root of `1 + f` for √½ ≤ 1 + f ≤ √2.",
      lambda f: mp.cbrt(1 + f), lambda f: 1 / mp.cbrt(1 + f), [(lo, hi)] * 2, (4, 4))
table("LOG_RATIO", "`(artanh(s)/s - 1 - s²/3) / s⁴` in `s²`, for |s| ≤ (√2 - 1)/(√2 + 1).",
      near0(lambda z: (mp.atanh(mp.sqrt(z)) / mp.sqrt(z) - 1 - z / 3) / z**2, mpf(1) / 5, "1e-15"),
      lambda z: z**2, [(mpf(0), s * s)] * 2, (3, 7))
q = (mp.pi / 4 * mpf("1.01")) ** 2
table("SIN", "`(sin(r)/r - 1) / r²` in `r²`, for |r| ≤ π/4.",
      near0(lambda z: (mp.sin(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, mpf(-1) / 6),
      lambda z: z, [(mpf(0), q)] * 2, (4, 7))
table("COS", "`(cos(r) - 1 + r²/2) / r⁴` in `r²`, for |r| ≤ π/4.",
      near0(lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2, mpf(1) / 24, "1e-20"),
      lambda z: z**2, [(mpf(0), q)] * 2, (3, 6))
table("TAN", "`(tan(r)/r - 1) / r²` in `r²`, for |r| ≤ π/4.",
      near0(lambda z: (mp.tan(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, mpf(1) / 3),
      lambda z: z, [(mpf(0), q)] * 2, (7, 15))
t = mpf(7) / 16
table("ATAN_SMALL", "`(atan(t)/t - 1) / t²` in `t²`, for |t| ≤ 7/16.",
      near0(lambda z: (mp.atan(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, mpf(-1) / 3),
      lambda z: z, [(mpf(0), t * t)] * 2, (5, 12))
table("ASIN", "`(asin(s)/s - 1) / s²` in `s²`, for |s| ≤ 1/2.",
      near0(lambda z: (mp.asin(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, mpf(1) / 6),
      lambda z: z, [(mpf(0), mpf("0.25"))] * 2, (5, 14))
table("SINH", "`(sinh(x)/x - 1) / x²` in `x²`, for |x| ≤ 1.",
      near0(lambda z: (mp.sinh(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, mpf(1) / 6),
      lambda z: z, [(mpf(0), mpf(1))] * 2, (4, 8))
table("ERF", "`erf(x)/x - 1` in `x²`, for |x| ≤ 1.",
      near0(lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z) - 1, 2 / mp.sqrt(mp.pi) - 1),
      lambda z: mpf(1), [(mpf(0), mpf("1.0"))] * 2, (7, 14))
table("ERFC", "`ln erfc(x)` in `x - 2`, for x from 1 to where `erf` is 1, as it errs in `erf`.",
      lambda t: mp.log(mp.erfc(t + 2)), lambda t: mp.erfc(t + 2) / mp.erf(t + 2),
      [(mpf(-1), mpf(2)), (mpf(-1), mpf("3.95"))], (9, 22))

# The tail of the normal distribution is `½ erfc(a/√2) = e^(-a²/2) R(u) / (a + k)`, `u = a / (a + k)`,
# for a from 0 to where it is 0; `R` changes little. Its polynomial is around a number where it is
# one of the format, nearly exactly.
def tail_ratio(k, u):
    a = k * u / (1 - u)
    return mp.erfc(a / mp.sqrt(2)) / 2 * mp.exp(a * a / 2) * (a + k)


rows, centers, values = [], [], []
for bits, k, end, count in ((24, 2, mpf("14.6"), 11), (53, 3, mpf("38.7"), 25)):
    center = mpf("0.375")
    while abs(tail_ratio(k, center) / round_to(bits, tail_ratio(k, center)) - 1) > mpf(2)**(-9 - bits):
        center += mpf(2)**(-bits)
    value = round_to(bits, tail_ratio(k, center))
    slope = near0(lambda t: (tail_ratio(k, center + t) - value) / t,
                  mp.diff(lambda u: tail_ratio(k, u), center), "1e-10")
    interval = (-center, end / (end + k) - center)
    rows.append((bits, *fit(slope, lambda t: abs(t) / tail_ratio(k, center + t), *interval, count, bits)))
    centers.append(center)
    values.append(value)
show("TAIL", "`(R(u) - R(c)) / (u - c)` in `u - c`, as it errs in `R`.", rows)
split("TAIL_CENTER", "`c`.", tuple(centers), (24, 53), 1)
split("TAIL_AT_CENTER", "`R(c)`.", tuple(values), (24, 53), 1)

print()
split("LN_2", "ln 2; the first part times an exponent is exact.", ln2, (15, 41), 2)
split("LN_2_FULL", "ln 2 to twice the precision.", ln2, (24, 53), 2)
split("LOG2_E", "1 / ln 2.", 1 / ln2, (24, 53), 2)
split("LOG10_E", "1 / ln 10.", 1 / mp.log(10), (24, 53), 2)
split("GELU_LINEAR", "√(8/π) / ln 2.", mp.sqrt(8 / mp.pi) / ln2, (20, 48), 2)
split("GELU_CUBIC", "0.044715 √(8/π) / ln 2.", mpf("0.044715") * mp.sqrt(8 / mp.pi) / ln2, (24, 53), 2)
split("FRAC_2_PI", "2 / π.", 2 / mp.pi, (24, 53), 2)
split("FRAC_PI_2", "π/2.", mp.pi / 2, (24, 53), 3)
split("FRAC_3PI_4", "3π/4.", 3 * mp.pi / 4, (24, 53), 2)
cut("LN_2_CUT", "ln 2 as the C library cuts it.", ln2, ("0x1.62e3p-1", "0x1.62e42feep-1"))
cut("LOG10_2_CUT", "log₁₀ 2 as the C library cuts it.", mp.log10(2),
    ("0x1.3441p-2", "0x1.34413509f6p-2"))
cut("ATAN_HALF", "atan(1/2) as the C library cuts it.", mp.atan(mpf("0.5")), ("0x1.dac67p-2",) * 2)
cut("ATAN_ONE", "π/4 as the C library cuts it.", mp.pi / 4, ("0x1.921fb4p-1",) * 2)
cut("ATAN_THREE_HALVES", "atan(3/2) as the C library cuts it.", mp.atan(mpf("1.5")),
    ("0x1.f730bcp-1",) * 2)
cut("ATAN_INFINITY", "π/2 as the C library cuts it.", mp.pi / 2, ("0x1.921fb4p+0",) * 2)
split("THIRD", "1/3.", mpf(1) / 3, (24, 53), 2)
split("HALF_LN_2_SQUARED", "(ln 2)²/2.", ln2**2 / 2, (24, 53), 2)

bits = 64 * 20
with mp.workprec(bits + 64):
    words = int(mp.floor(2 / mp.pi * mpf(2) ** bits))
print("\n/// The binary digits of 2/π after the point.")
print("pub(super) const FRAC_2_PI_BITS: [u64; 20] = [")
print("    " + ", ".join(f"0x{(words >> (bits - 64 * (i + 1))) & (2**64 - 1):016x}" for i in range(20)) + ",")
print("];")
