//! A script's console on a terminal: bars for its loops; plain lines where standard error is none.

use super::output::{Error, Output, write_err, write_out};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};
use tensc::script::Console;

/// The shortest time between two plain progress lines of one loop.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

/// Progress of the loops to standard error, printed lines to standard output.
pub struct Terminal<'a> {
    output: &'a Output,
    bars: MultiProgress,
    mode: Mode,
    loops: Vec<Loop>,
    latest: Vec<(String, f64)>,
    log: Option<BufWriter<File>>,
    steps: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Quiet,
    Bars,
    Plain,
}

struct Loop {
    name: String,
    turns: u64,
    done: u64,
    bar: Option<ProgressBar>,
    spoken: Instant,
}

impl<'a> Terminal<'a> {
    /// A console; `log` names a file that every logged step is appended to as a line of JSON.
    pub fn new(quiet: bool, log: Option<&Path>, output: &'a Output) -> Result<Terminal<'a>, Error> {
        let open = |path: &Path| {
            let file = open_log(path);
            file.map_err(|e| Error::other(format!("cannot write {}: {e}", path.display())))
        };
        let mode = match (quiet, io::stderr().is_terminal()) {
            (true, _) => Mode::Quiet,
            (false, true) => Mode::Bars,
            (false, false) => Mode::Plain,
        };
        Ok(Terminal {
            output,
            bars: MultiProgress::with_draw_target(ProgressDrawTarget::stderr()),
            mode,
            loops: Vec::new(),
            latest: Vec::new(),
            log: log.map(open).transpose()?,
            steps: 0,
        })
    }

    /// `loss = 0.2134, accuracy = 0.9411`
    fn values(&self) -> String {
        let shown: Vec<String> =
            self.latest.iter().map(|(name, value)| format!("{name} = {value:.6}")).collect();
        shown.join(", ")
    }
}

/// A log to append to, at the start of a line.
fn open_log(path: &Path) -> io::Result<BufWriter<File>> {
    let mut file = File::options().create(true).append(true).open(path)?;
    if file.metadata()?.is_file() {
        let mut before = File::open(path)?;
        let mut last = [b'\n'];
        if before.seek(SeekFrom::End(-1)).is_ok() {
            before.read_exact(&mut last)?;
        }
        if last != [b'\n'] {
            file.write_all(b"\n")?;
        }
    }
    Ok(BufWriter::new(file))
}

impl Console for Terminal<'_> {
    fn print(&mut self, line: &str) {
        self.bars.suspend(|| write_out(format_args!("{line}\n")));
    }

    fn log(&mut self, values: &[(&str, f64)]) {
        self.latest = values.iter().map(|(name, value)| (name.to_string(), *value)).collect();
        self.steps += 1;
        if let Some(log) = &mut self.log {
            let mut entry = serde_json::Map::new();
            entry.insert("step".to_string(), self.steps.into());
            for (name, value) in values {
                // JSON has no NaN or infinity: such a value is null.
                entry.insert(name.to_string(), serde_json::Number::from_f64(*value).into());
            }
            // In one piece: the buffer is emptied between two lines only, so that a run that is
            // stopped leaves whole ones.
            let line = format!("{}\n", serde_json::Value::Object(entry));
            if log.write_all(line.as_bytes()).is_err() {
                self.output.warning("the log cannot be written any more");
                self.log = None;
            }
        }
    }

    fn enter(&mut self, name: &str, turns: u64) {
        let bar = (self.mode == Mode::Bars).then(|| {
            let template = "{prefix:>10} {bar:30} {pos}/{len} [{elapsed}<{eta}] {msg}";
            let style = ProgressStyle::with_template(template).expect("the template is valid");
            let bar = ProgressBar::new(turns).with_style(style).with_prefix(name.to_string());
            self.bars.add(bar)
        });
        let spoken = Instant::now();
        self.loops.push(Loop { name: name.to_string(), turns, done: 0, bar, spoken });
    }

    fn advance(&mut self) {
        let message = self.values();
        let plain = self.mode == Mode::Plain;
        let Some(innermost) = self.loops.last_mut() else { return };
        innermost.done += 1;
        if let Some(bar) = &innermost.bar {
            bar.set_message(message);
            bar.inc(1);
        } else if plain && innermost.spoken.elapsed() >= PLAIN_INTERVAL {
            innermost.spoken = Instant::now();
            let (name, done, turns) = (&innermost.name, innermost.done, innermost.turns);
            write_err(format_args!("{name} {done}/{turns} {message}\n"));
        }
    }

    fn leave(&mut self) {
        if let Some(Loop { bar: Some(bar), .. }) = self.loops.pop() {
            bar.finish_and_clear();
        }
    }

    fn finish(&mut self) {
        while !self.loops.is_empty() {
            self.leave();
        }
        if let Some(log) = &mut self.log
            && log.flush().is_err()
        {
            self.output.warning("the log could not be written to its end");
        }
    }
}
