//! What rewriting makes stabler is so wherever it stands.

use super::{assert_success, folder, stdout, tensc};

#[test]
fn values_stay_in_range_in_scalars_and_beside_much_else() {
    let dir = folder(&[("stable.tx", include_str!("stable.tx"))]);
    let out = tensc(&dir, &["run", "stable.tx"]);
    assert_success(&out);
    assert_eq!(stdout(&out), "200.0\n[200.0, 200.0]\n[200.0, 200.0] false\n");
}
