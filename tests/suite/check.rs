//! `check/*.tx`: wrong programs, and the messages about them as snapshots.

use crate::program::Program;
use tensc::Module;

#[test]
fn mistakes() {
    insta::with_settings!({
        snapshot_path => "check/snapshots", prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::glob!("check", "*.tx", |path| {
            let program = Program::read(path);
            let failure = match Module::from_file(&program.path) {
                Ok(_) => panic!("{} is not wrong", program.path.display()),
                Err(failure) => failure,
            };
            insta::assert_snapshot!(failure.to_string());
        });
    });
}
