use super::*;

const N: usize = 200_000;

#[test]
fn philox_agrees_with_the_known_answers_of_random123() {
    let known = [
        ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
        ([!0; 4], [!0; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
        (
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
            [0xa409_3822, 0x299f_31d0],
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
        ),
    ];
    for (counter, key, expected) in known {
        let blocks = philox4x32_10(counter.map(|word| [word; 3]), key);
        assert_eq!(blocks, expected.map(|word| [word; 3]));
    }
}

#[test]
fn the_stream_is_the_blocks_in_order() {
    let block = philox4x32_10([[0]; 4], [0; 2]).map(|[word]| word);
    assert_eq!([0, 1, 2, 3].map(|i| bits32(key(0), i)), block);
    assert_eq!(bits64(key(0), 1), u64::from(block[3]) << 32 | u64::from(block[2]));
    // The low words of the counter, then the domain.
    let far = philox4x32_10([[1], [1], [0], [0]], [5, 0]);
    assert_eq!(bits32(key(5), 4 * ((1 << 32) + 1)), far[0][0]);
    let folded = philox4x32_10([[u32::MAX], [u32::MAX], [1], [0]], [5, 0]).map(|[word]| word);
    assert_eq!(fold_in(key(5), -1), Key(u64::from(folded[1]) << 32 | u64::from(folded[0])));
}

#[test]
fn filling_from_anywhere_gives_the_values_at_the_indices() {
    let k = key(7);
    for first in [0, 1, 2, 3, 4, 1001, u64::from(u32::MAX) * 4 - 2] {
        let at = |i: usize| first + i as u64;
        let mut words = [0; 11];
        fill_bits32(k, first, &mut words);
        assert_eq!(words, std::array::from_fn(|i| bits32(k, at(i))));
        let mut floats = [0.0; 11];
        fill_uniform_f32(k, first, &mut floats);
        assert_eq!(floats, std::array::from_fn(|i| uniform_f32(k, at(i))));
        fill_normal_f32(k, first, &mut floats);
        assert_eq!(floats, std::array::from_fn(|i| normal_f32(k, at(i))));
        let mut doubles = [0.0; 11];
        fill_uniform_f64(k, first, &mut doubles);
        assert_eq!(doubles, std::array::from_fn(|i| uniform_f64(k, at(i))));
        fill_normal_f64(k, first, &mut doubles);
        assert_eq!(doubles, std::array::from_fn(|i| normal_f64(k, at(i))));
    }
}

#[test]
fn filling_much_gives_the_values_at_the_indices() {
    let (k, first) = (key(9), 5);
    let mut floats = vec![0.0; 1003];
    fill_normal_f32(k, first, &mut floats);
    let mut doubles = vec![0.0; 1003];
    fill_normal_f64(k, first, &mut doubles);
    let mut bits = vec![0; 1003];
    fill_bits64(k, first, &mut bits);
    for (i, index) in (first..first + 1003).enumerate() {
        assert_eq!(floats[i], normal_f32(k, index));
        assert_eq!(doubles[i], normal_f64(k, index));
        assert_eq!(bits[i], bits64(k, index));
    }
}

#[test]
fn the_bits_stay_what_they_are() {
    // Pinned: a change of any of these changes the results of every user's program.
    let k = key(42);
    let halves = (uniform_f16(k, 0).to_f64(), uniform_bf16(k, 0).to_f64());
    let found = format!(
        "{:x} {:?} {:?} {:?} {:?} {halves:?} {} {:?} {:x} {:x}",
        bits64(k, 0),
        uniform_f32(k, 0),
        uniform_f64(k, 0),
        normal_f32(k, 0).to_bits(),
        normal_f64(k, 0).to_bits(),
        between(k, 0, -10, 10),
        permutation(k, 8),
        split_at(k, 0).0,
        fold_in(k, 0).0,
    );
    let expected = "77f5493b9ceaf053 0.61295986 0.4685865183391049 1049818920 \
        13813716287037177729 (0.61279296875, 0.609375) -1 [2, 1, 7, 3, 0, 4, 6, 5] \
        852e586665fe70a6 2051e91302933769";
    assert_eq!(found, expected);
}

fn moments(values: impl Iterator<Item = f64>) -> (f64, f64, f64, f64) {
    let all: Vec<f64> = values.collect();
    let n = all.len() as f64;
    let mean = all.iter().sum::<f64>() / n;
    let central = |p| all.iter().map(|x| (x - mean).powi(p)).sum::<f64>() / n;
    let variance = central(2);
    (mean, variance, central(3) / variance.powf(1.5), central(4) / variance.powi(2))
}

#[test]
fn uniforms_have_the_moments_of_uniforms() {
    let wide = moments((0..N as u64).map(|i| uniform_f64(key(11), i)));
    let narrow = moments((0..N as u64).map(|i| f64::from(uniform_f32(key(12), i))));
    for (mean, variance, skew, kurtosis) in [wide, narrow] {
        assert!((mean - 0.5).abs() < 0.003, "{mean}");
        assert!((variance - 1.0 / 12.0).abs() < 0.001, "{variance}");
        assert!(skew.abs() < 0.02, "{skew}");
        assert!((kurtosis - 1.8).abs() < 0.02, "{kurtosis}");
    }
    for i in 0..N as u64 {
        assert!((0.0..1.0).contains(&uniform_f32(key(12), i)));
        assert!((0.0..1.0).contains(&uniform_f16(key(12), i).to_f32()));
        assert!((0.0..1.0).contains(&uniform_bf16(key(12), i).to_f32()));
    }
}

#[test]
fn normals_have_the_moments_of_normals() {
    let wide = moments((0..N as u64).map(|i| normal_f64(key(21), i)));
    let narrow = moments((0..N as u64).map(|i| f64::from(normal_f32(key(22), i))));
    for (mean, variance, skew, kurtosis) in [wide, narrow] {
        assert!(mean.abs() < 0.008, "{mean}");
        assert!((variance - 1.0).abs() < 0.012, "{variance}");
        assert!(skew.abs() < 0.02, "{skew}");
        assert!((kurtosis - 3.0).abs() < 0.04, "{kurtosis}");
    }
}

/// The statistic of `counts` against equal expectation.
fn chi_square(counts: &[usize]) -> f64 {
    let expected = counts.iter().sum::<usize>() as f64 / counts.len() as f64;
    counts.iter().map(|&c| (c as f64 - expected).powi(2) / expected).sum()
}

#[test]
fn cells_fill_evenly() {
    // 256 cells: mean 255, standard deviation 22.6; the bounds are about five of those away.
    let fits = |counts: &[usize], what: &str| {
        let statistic = chi_square(counts);
        assert!((142.0..368.0).contains(&statistic), "{what}: {statistic}");
    };
    let count = |cell: &dyn Fn(u64) -> u64, what: &str| {
        let mut counts = [0; 256];
        (0..N as u64).for_each(|i| counts[cell(i) as usize] += 1);
        fits(&counts, what);
    };
    count(&|i| u64::from(bits32(key(31), i) >> 24), "top byte");
    count(&|i| u64::from(bits32(key(31), i) & 255), "bottom byte");
    count(&|i| below(key(32), i, 256), "below");
    let neighbours = |i| (bits32(key(33), i) >> 28 << 4 | bits32(key(33), i + 1) >> 28).into();
    count(&neighbours, "pairs of neighbours");
    count(&|i| u64::from(bits32(key(i as i64), 0) >> 24), "first words of neighbouring keys");
    count(&|i| u64::from(bits32(fold_in(key(34), i as i64), 0) >> 24), "of folded keys");
    count(&|i| split_at(key(35), i).0 >> 56, "split keys");
    let cdf = |i: u64| {
        // Normals by their own quantiles: each cell between two of them is equally likely.
        let x = normal_f64(key(36), i);
        (0..8).rev().fold(0, |low, bit| {
            let middle = low + (1 << bit);
            if x >= normal_quantile(middle as f64 / 256.0) { middle } else { low }
        })
    };
    count(&cdf, "normal quantiles");
}

#[test]
fn permutations_are_permutations_and_evenly_spread() {
    let mut seen = permutation(key(1), 1000);
    assert_ne!(seen, (0..1000).collect::<Vec<_>>());
    seen.sort_unstable();
    assert_eq!(seen, (0..1000).collect::<Vec<_>>());
    assert!(permutation(key(1), 0).is_empty());
    assert_eq!(permutation(key(1), 1), [0]);
    let mut counts = [0; 24];
    for seed in 0..24_000 {
        let p = permutation(key(seed), 4);
        let rank = |i: usize| p[i + 1..].iter().filter(|&&x| x < p[i]).count();
        counts[rank(0) * 6 + rank(1) * 2 + rank(2)] += 1;
    }
    // 23 degrees of freedom: mean 23, standard deviation 6.8.
    let statistic = chi_square(&counts);
    assert!((3.0..57.0).contains(&statistic), "{statistic}");
}

#[test]
fn keys_differ_by_how_they_were_made() {
    let k = key(9);
    assert_eq!(split(k, 3), split(k, 5)[..3]);
    let mut made: Vec<u64> = split(k, 50).iter().map(|k| k.0).collect();
    made.extend((0..50).map(|i| fold_in(k, i).0));
    made.push(k.0);
    made.sort_unstable();
    made.dedup();
    assert_eq!(made.len(), 101);
}

#[test]
fn integers_stay_in_their_range_even_the_widest() {
    for i in 0..1000 {
        assert!((-3..4).contains(&between(key(1), i, -3, 4)));
        assert!(between(key(1), i, i64::MIN, i64::MAX) < i64::MAX);
    }
    let found: std::collections::BTreeSet<_> =
        (0..1000).map(|i| between(key(1), i, -3, 4)).collect();
    assert_eq!(found.len(), 7);
}
