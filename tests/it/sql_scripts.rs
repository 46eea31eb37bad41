//! Every script below `tests/sql` through the test runner, as `eddyline test tests/sql` runs them.

use std::path::Path;

use eddyline::engine::test_runner::{self, Options, Outcome};

#[test]
fn every_sql_script_holds() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sql");
    let mut failures = Vec::new();
    let summary = test_runner::run(&[root], &Options::default(), &mut |case| {
        if let Outcome::Failed(failure) = &case.outcome {
            failures.push(format!("{}: {failure}", case.name));
        }
    })
    .expect("the scripts are readable");
    assert!(failures.is_empty(), "{} of the tests in tests/sql failed:\n{}", failures.len(), failures.join("\n\n"));
    assert!(summary.passed >= 150, "only {} tests were found", summary.passed);
}
