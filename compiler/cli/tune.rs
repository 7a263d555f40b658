//! `tensc tune`: measures tiles for the products of a function, and keeps the best: also where they
//! are the model's choice, which then takes the place of what an earlier run had kept.
//!
//! Measured tiles lie in a file of JSON: the user's cache, which every command reads, or the one
//! that `--tiles` names. Results never depend on them.

use super::Measure;
use super::bench::shown;
use super::output::{Error, Output};
use super::workbench::Workbench;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tensc::codegen::{Choice, Share, Tiles};
use tensc_runtime::write_atomically;

/// Measures, prints a table of the products, and adds what was found to the file.
pub fn tune(mut measure: Measure, output: &Output) -> Result<(), Error> {
    // The model's choices are what others are compared with.
    let named = measure.engine.tiles.replace(PathBuf::from(NONE));
    let is_named = named.is_some();
    let file = match named {
        Some(file) => Some(file).filter(|file| file != Path::new(NONE)),
        None => cache(),
    };
    let bench = Workbench::new(&measure, output)?;
    let budget = Duration::from_secs_f64(measure.seconds);
    let tuned = bench.session().tune(bench.graph(), &bench.arguments(), budget);
    let tuned = tuned.map_err(|e| bench.module().call_failure(&e))?;
    output.line(format_args!("     model       best   gain  product"));
    let mut found = Tiles::default();
    for product in &tuned {
        let ((model, before), (best, after)) = (product.model, product.best);
        let [before, after] = [before, after].map(|time| time.as_nanos() as f64);
        let gain = 100.0 * (1.0 - after / before.max(1.0));
        let chosen = match model == best {
            true => "the model's choice".to_owned(),
            false => format!("{} for {}", described(&best), described(&model)),
        };
        let (before, after) = (shown(before), shown(after));
        output.line(format_args!(
            "{before:>10} {after:>10} {gain:>5.1}%  {}: {chosen}",
            product.product
        ));
        found.insert(product.product.clone(), best);
    }
    let Some(file) = file.filter(|_| !found.is_empty()) else { return Ok(()) };
    let mut tiles = match (file.exists(), is_named) {
        (false, _) => Tiles::default(),
        (true, true) => read(&file)?,
        (true, false) => cached(&file, output),
    };
    tiles.extend(found);
    write(&file, &tiles)?;
    output.line(format_args!("{} choices in {}", tiles.len(), file.display()));
    Ok(())
}

fn described(choice: &Choice) -> String {
    let Choice { rows, columns, pack_left, block, share } = choice;
    let packed = if *pack_left { ", A packed" } else { "" };
    let share = match share {
        Share::Rows => "rows",
        Share::Columns => "columns",
    };
    format!("{rows}x{columns}, {block} panels of B{packed}, {share} shared")
}

/// The name that means no file.
const NONE: &str = "none";

/// The tiles that a command goes by: those of the file that was named, or of the user's cache.
pub fn tiles(named: Option<&Path>, output: &Output) -> Result<Option<Tiles>, Error> {
    match named {
        Some(file) if file == Path::new(NONE) => Ok(None),
        Some(file) => read(file).map(Some),
        None => Ok(cache().filter(|file| file.exists()).map(|file| cached(&file, output))),
    }
}

/// The tiles of the user's cache. Nobody asked for that file, so one that cannot be read stops no
/// command.
fn cached(file: &Path, output: &Output) -> Tiles {
    read(file).unwrap_or_else(|error| {
        output.warning(&format!("{error}: the model chooses instead"));
        Tiles::default()
    })
}

fn read(file: &Path) -> Result<Tiles, Error> {
    let wrong = |what: String| Error::usage(format!("the tiles of `{}`: {what}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|e| wrong(e.to_string()))?;
    Tiles::from_json(&text).map_err(wrong)
}

fn write(file: &Path, tiles: &Tiles) -> Result<(), Error> {
    let wrong = |e: std::io::Error| Error::other(format!("`{}`: {e}", file.display()));
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(wrong)?;
    }
    write_atomically(file, |out| out.write_all(tiles.to_json().as_bytes())).map_err(wrong)
}

/// `tensc/tiles.json` in the user's cache folder, where the system has one.
fn cache() -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let folder = named("XDG_CACHE_HOME").or_else(|| Some(named("HOME")?.join(".cache")))?;
    Some(folder.join("tensc").join("tiles.json"))
}
