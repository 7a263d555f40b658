//! Names that are nearly right.

/// The candidate that is closest to what was written, where it is close enough to be meant.
pub(crate) fn nearest<'a>(
    written: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    // Short names are near to everything: of one or two letters only the case may differ.
    let limit = written.chars().count() / 3;
    candidates
        .into_iter()
        .filter(|c| *c != written)
        .map(|c| (distance(written, c), c))
        .filter(|(d, _)| *d <= limit)
        .min()
        .map(|(_, c)| c.to_string())
}

/// Insertions, deletions, replacements and swaps of neighbours that make one word the other
/// (the optimal string alignment distance), case ignored.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replace = usize::from(!a[i - 1].eq_ignore_ascii_case(&b[j - 1]));
            let mut best =
                (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + replace);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn suggests_what_is_close() {
        let names = ["relu", "reshape", "softmax", "sum", "Dense"];
        assert_eq!(nearest("rehsape", names), Some("reshape".to_string()));
        assert_eq!(nearest("dense", names), Some("Dense".to_string()));
        assert_eq!(nearest("sofmax", names), Some("softmax".to_string()));
        assert_eq!(nearest("conv2d", names), None);
        assert_eq!(nearest("q", ["p", "x"]), None);
    }
}
