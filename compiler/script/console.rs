//! What a running script shows: printed lines and the progress of its loops.

/// Receives the lines and the progress of a script. The executor promises that `enter` and `leave`
/// nest, unless an error ends the run; `finish` comes last in any case.
pub trait Console {
    /// A line for standard output.
    fn print(&mut self, line: &str);
    /// Named scalars of the current turn.
    fn log(&mut self, values: &[(&str, f64)]);
    /// A loop begins; `turns` is how many there will be at most.
    fn enter(&mut self, name: &str, turns: u64);
    /// A turn of the innermost loop is over.
    fn advance(&mut self);
    /// The innermost loop is over.
    fn leave(&mut self);
    /// The script is over, or failed.
    fn finish(&mut self);
}

/// Keeps everything, for tests and for hosts that show it themselves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transcript {
    /// Printed lines.
    pub lines: Vec<String>,
    /// Logged values in order.
    pub logged: Vec<(String, f64)>,
}

impl Console for Transcript {
    fn print(&mut self, line: &str) {
        self.lines.push(line.to_string());
    }
    fn log(&mut self, values: &[(&str, f64)]) {
        self.logged.extend(values.iter().map(|(name, value)| (name.to_string(), *value)));
    }
    fn enter(&mut self, _name: &str, _turns: u64) {}
    fn advance(&mut self) {}
    fn leave(&mut self) {}
    fn finish(&mut self) {}
}
