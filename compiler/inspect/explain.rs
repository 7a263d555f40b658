//! What rewriting and fusion did to a graph, in words and with the places in the source.
//!
//! In this order: the cost and the kernels before and after; the rules, by phase, with the
//! expressions they were applied to; what is stored and what recomputed; which kernels were joined;
//! and what each kernel of the result holds. A rule that is listed added an equal term to the
//! e-graph; whether the term was chosen is the extraction's decision, by cost. After the rules it
//! says what became of loops. Where rewriting kept proofs, their steps come right after the rules.

use crate::diag::{Sources, Span};
use crate::graph::{Graph, Origin, Via};
use crate::kernel::fuse::{self, Note};
use crate::kernel::{Call, Kernel, Program, Work, lower};
use crate::rewrite::explain::Choice;
use crate::rewrite::{self, Applied, Limit, LoopNote, Phase, Proof, Report, Rule, Step, rules};
use std::fmt::{self, Write};

/// Everything there is to tell about one graph.
#[derive(Clone, Copy, Debug)]
pub struct Explanation<'a> {
    /// Where spans point.
    pub sources: &'a Sources,
    /// What rewriting did.
    pub report: &'a Report,
    /// The kernels without rewriting and fusion.
    pub before: &'a Program,
    /// The kernels with them.
    pub after: &'a Program,
    /// The joins of kernels.
    pub joins: &'a [Note],
}

/// What happens to a concrete graph when it is compiled with these options.
pub fn explanation_of(sources: &Sources, graph: &Graph, options: &rewrite::Options) -> String {
    let (optimised, report) = rewrite::optimise(graph, options);
    let before = lower(graph);
    let (after, joins) = fuse::explained(lower(&optimised));
    let (report, before, after, joins) = (&report, &before, &after, joins.as_slice());
    Explanation { sources, report, before, after, joins }.to_string()
}

/// Places listed under one rule.
const PLACES: usize = 4;
/// Columns of source shown of a place.
const EXCERPT: usize = 48;

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.summary(f)?;
        self.rules(f)?;
        self.proofs(f)?;
        self.loops(f)?;
        self.choices(f)?;
        self.joins(f)?;
        self.kernels(f)
    }
}

impl Explanation<'_> {
    fn summary(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { cost_before, cost_after, nodes, classes, iterations, .. } = self.report;
        let (before, after) = (micros(*cost_before), micros(*cost_after));
        let (kernels, fewer) = (self.before.kernels.len(), self.after.kernels.len());
        writeln!(f, "estimated time   {before} -> {after}")?;
        writeln!(f, "kernels          {kernels} -> {fewer}")?;
        writeln!(
            f,
            "search           {nodes} terms in {classes} classes, after {}",
            counted(*iterations, "round")
        )?;
        for phase in &self.report.phases {
            let limit = match phase.limit {
                Some(Limit::Nodes) => "terms",
                Some(Limit::Rounds) => "rounds",
                None => continue,
            };
            writeln!(f, "                 `{}` stopped at its limit of {limit}", phase.name)?;
        }
        match &self.report.kept_input {
            Some(why) => writeln!(f, "\nThe graph stays as it is: {why}."),
            None => Ok(()),
        }
    }

    fn rules(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known: Vec<(&'static Rule, &Applied)> = (self.report.applied.iter())
            .filter_map(|a| Some((rules::all().find(|r| r.name == a.rule)?, a)))
            .collect();
        let mut phases: Vec<Phase> = known.iter().map(|(rule, _)| rule.phase).collect();
        phases.sort_unstable();
        phases.dedup();
        for phase in phases {
            writeln!(f, "\nRules of the phase `{}`", phase.name())?;
            for (rule, applied) in known.iter().filter(|(rule, _)| rule.phase == phase) {
                writeln!(f, "  {} x {} ({})", applied.count, rule.name, rule.class)?;
                let condition = match rule.when() {
                    "" => String::new(),
                    when => format!("; where {when}"),
                };
                writeln!(f, "      {}{condition}", rule.doc.trim_end_matches('.'))?;
                self.places(f, &applied.spans)?;
            }
        }
        Ok(())
    }

    /// The first few expressions of a rule, a line each.
    fn places(&self, f: &mut fmt::Formatter<'_>, spans: &[Span]) -> fmt::Result {
        let mut lines: Vec<(String, String)> = Vec::new();
        for &span in spans {
            let line = (self.place(span), self.excerpt(span));
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        let shown = &lines[..lines.len().min(PLACES)];
        let width = shown.iter().map(|(place, _)| place.chars().count()).max().unwrap_or(0);
        for (place, excerpt) in shown {
            writeln!(f, "      {place:width$}  {excerpt}")?;
        }
        match lines.len() - shown.len() {
            0 => Ok(()),
            more => writeln!(f, "      and {}", counted(more, "more place")),
        }
    }

    /// Why each output is equal to what was written, where that was asked for.
    fn proofs(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Proof { output, steps } in &self.report.proofs {
            let steps_of = counted(steps.len(), "step");
            writeln!(
                f,
                "\nProof of `{output}`, from what was written to what is computed: {steps_of}"
            )?;
            for Step { rule, backward, term } in steps {
                let way = if *backward { "<-" } else { "->" };
                writeln!(f, "  {way} {rule:24} {term}")?;
            }
        }
        Ok(())
    }

    fn loops(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.report.loops.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nLoops")?;
        for LoopNote { span, what } in &self.report.loops {
            let place = span.map_or(String::new(), |span| format!(" ({})", self.place(span)));
            writeln!(f, "  {what}{place}")?;
        }
        Ok(())
    }

    fn choices(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.report.choices.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nValues with several uses")?;
        for choice in &self.report.choices {
            let Choice { value, span, uses, stored, cost_stored, cost_recomputed } = choice;
            let place = span.map_or(String::new(), |span| format!(", {}", self.place(span)));
            let (stored_cost, other) = (micros(*cost_stored), micros(*cost_recomputed));
            let (done, cost, instead, against) = match stored {
                true => ("stored", stored_cost, "recomputed", other),
                false => ("recomputed", other, "stored", stored_cost),
            };
            let uses = counted(*uses, "use");
            writeln!(f, "  {done:10} {value} ({uses}{place})")?;
            writeln!(f, "             the whole takes {cost}, with it {instead} {against}")?;
        }
        Ok(())
    }

    fn joins(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.joins.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nKernels joined")?;
        for Note { host, guest, why } in self.joins {
            writeln!(f, "  {host} + {guest}")?;
            writeln!(f, "      {why}")?;
        }
        Ok(())
    }

    fn kernels(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nKernels")?;
        self.list(f, self.after, "")
    }

    /// The kernels of a program; those of the steps of a loop stand below it.
    fn list(&self, f: &mut fmt::Formatter<'_>, program: &Program, margin: &str) -> fmt::Result {
        for (number, kernel) in program.kernels.iter().enumerate() {
            writeln!(f, "{margin}  {number:>3}  {}: {}", kernel.name, shape(kernel))?;
            for (what, wanted) in [("of", false), ("backward of", true)] {
                let places = self.origins(&kernel.origins, wanted);
                if !places.is_empty() {
                    writeln!(f, "{margin}       {what} {places}")?;
                }
            }
            if let Work::Repeat(repeat) = &kernel.work {
                self.list(f, &repeat.step, &format!("{margin}     "))?;
            }
        }
        Ok(())
    }

    /// The lines that nodes come from, those of the derivation or the others.
    fn origins(&self, origins: &[Origin], derived: bool) -> String {
        let of_kind = |o: &&Origin| matches!(o.via, Via::Tangent | Via::Cotangent) == derived;
        let mut spans: Vec<Span> = origins.iter().filter(of_kind).filter_map(|o| o.span).collect();
        spans.sort_unstable();
        let mut places: Vec<String> = spans.into_iter().map(|span| self.place(span)).collect();
        places.dedup();
        places.join(", ")
    }

    /// `mnist.tx:9`
    fn place(&self, span: Span) -> String {
        match self.sources.find(span.source) {
            Some(source) => format!("{}:{}", source.name, self.sources.line_column(span).0),
            None => "?".to_string(),
        }
    }

    /// The source of a place, cut to its first line and a few words.
    fn excerpt(&self, span: Span) -> String {
        if self.sources.find(span.source).is_none() {
            return String::new();
        }
        let text = self.sources.text(span);
        let line = text.lines().next().unwrap_or_default().trim();
        let mut cut: String = line.chars().take(EXCERPT).collect();
        if cut.len() < text.trim().len() {
            cut.push('…');
        }
        cut
    }
}

/// What a kernel goes over.
fn shape(kernel: &Kernel) -> String {
    let mut text = String::new();
    let by = |sizes: &[usize]| {
        let sizes: Vec<String> = sizes.iter().map(ToString::to_string).collect();
        sizes.join(" x ")
    };
    let written = match &kernel.work {
        Work::Nest(nest) => {
            let rows: usize = nest.outer.iter().product();
            let passes: Vec<String> = (nest.stages.iter())
                .map(|s| by(&s.reduce.iter().copied().chain([s.lanes]).collect::<Vec<_>>()))
                .collect();
            let rows = counted(rows, "row");
            let passes = match passes.as_slice() {
                [one] => format!("one pass over {one}"),
                many => format!("{} passes over {}", many.len(), many.join(", ")),
            };
            write!(text, "{rows}, {passes}")
        }
        Work::Product(p) => {
            let batch: usize = p.batch.iter().product();
            let many = if batch == 1 { String::new() } else { format!("{batch} times ") };
            write!(text, "{many}[{} x {}] by [{} x {}]", p.m, p.k, p.k, p.n)
        }
        Work::Repeat(repeat) => {
            let kernels = repeat.step.kernels.len();
            let perhaps = if repeat.gate.is_some() { ", or none" } else { "" };
            write!(text, "{}", counted(repeat.count, "step"))
                .and_then(|()| write!(text, " of {}{perhaps}", counted(kernels, "kernel")))
        }
        Work::Call(Call::Random { .. }) => write!(text, "random draws"),
        Work::Call(Call::FoldKey { .. }) => write!(text, "a key from a key"),
        Work::Call(Call::Running { op, around, .. }) => {
            write!(text, "running {} along {}", op.name(), around.n)
        }
        Work::Call(Call::Linear { op, sizes, .. }) => {
            write!(text, "{} of matrices of {} rows", op.name(), sizes[0])
        }
        Work::Call(Call::Recur { around, .. }) => {
            write!(text, "a linear recurrence along {}", around.n)
        }
        Work::Call(Call::Argsort { around, .. }) => write!(text, "sorting of {}", around.n),
        Work::Call(Call::ScatterAdd { outer, bound, inner, .. }) => {
            write!(text, "additions at computed positions of {}", by(&[*outer, *bound, *inner]))
        }
    };
    written.expect("text can always grow");
    text
}

fn micros(nanoseconds: f64) -> String {
    format!("{:.2} us", nanoseconds / 1e3)
}

/// `1 round`, `2 rounds`
fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Access, Body, BufferId, Fold, Nest, Operand, Product, Split, Stage};
    use crate::vector;
    use tensc_runtime::DType;

    const TEXT: &str = "\
fn loss(p: Dense, x: f32[32, 784], t: f32[32, 10]) -> f32 = {
    let z = relu(x @ p.w + p.b)
    mean(square(z - t))
}
";

    fn span(sources: &Sources, piece: &str) -> Span {
        let id = crate::diag::SourceId(0);
        let start = sources.get(id).text.find(piece).expect("it is in the source");
        Span::new(id, start, start + piece.len())
    }

    fn access() -> Access {
        Access { buffer: BufferId(0), offset: 0, strides: [].into_iter().collect(), gather: None }
    }

    fn body() -> Body {
        Body { program: vector::Program::default(), slots: vec![], params: vec![] }
    }

    fn product(origins: Vec<Origin>) -> Kernel {
        let batch = [].into_iter().collect();
        let operand = || Operand::Stored(access());
        let (left, right, epilogue) = (operand(), operand(), body());
        let work =
            Product { batch, m: 32, n: 10, k: 784, dtype: DType::F32, left, right, epilogue };
        Kernel {
            name: "contract_add_max".to_string(),
            work: Work::Product(work),
            after: Vec::new(),
            origins,
        }
    }

    fn nest(name: &str, origins: Vec<Origin>) -> Kernel {
        let stage = |reduce: &[usize], lanes| Stage {
            reduce: reduce.iter().copied().collect(),
            lanes,
            body: body(),
            fold: Fold::None,
        };
        let stages = vec![stage(&[], 10), stage(&[4], 10)];
        let work = Nest { outer: [8, 4].into_iter().collect(), stages, split: Split::Rows };
        Kernel { name: name.to_string(), work: Work::Nest(work), after: Vec::new(), origins }
    }

    #[test]
    fn tells_rules_choices_and_kernels_with_lines() {
        let mut sources = Sources::default();
        sources.add("model.tx", TEXT);
        let at = |piece: &str| span(&sources, piece);
        let applied = |rule: &'static str, count: usize, spans: Vec<Span>| {
            assert!(rules::all().any(|r| r.name == rule), "{rule} is a rule");
            Applied { rule, count, spans }
        };
        let pieces =
            ["x @ p.w + p.b", "relu(x @ p.w + p.b)", "mean(square(z - t))", "z - t", "p.b"];
        let report = Report {
            iterations: 1,
            nodes: 120,
            classes: 60,
            applied: vec![
                applied("transpose-transpose", 2, vec![at("x @ p.w")]),
                applied("commute", 9, pieces.iter().map(|p| at(p)).collect()),
            ],
            cost_before: 12_345.0,
            cost_after: 2_000.0,
            choices: vec![Choice {
                value: "max: f32[32, 10]".to_string(),
                span: Some(at("relu(x @ p.w + p.b)")),
                uses: 2,
                stored: false,
                cost_stored: 2_500.0,
                cost_recomputed: 2_000.0,
            }],
            proofs: vec![Proof {
                output: "loss".to_string(),
                steps: vec![
                    Step { rule: "commute", backward: false, term: "add(p, q)".to_string() },
                    Step { rule: "mul-one", backward: true, term: "mul(p, 1)".to_string() },
                ],
            }],
            ..Report::default()
        };
        let forward = Origin::source(at("x @ p.w + p.b"));
        let backward = Origin::source(at("mean(square(z - t))")).by(Via::Cotangent);
        let one = || nest("sub", vec![forward]);
        let before = Program { kernels: vec![one(), one(), one()], ..Program::default() };
        let kernels = vec![product(vec![forward]), nest("sub_mul", vec![backward, forward])];
        let after = Program { kernels, ..Program::default() };
        let joins = [Note {
            host: "contract".to_string(),
            guest: "add_max".to_string(),
            why: "the elements of the product go on in registers".to_string(),
        }];
        let (report, before, after) = (&report, &before, &after);
        let explanation = Explanation { sources: &sources, report, before, after, joins: &joins };
        let text = explanation.to_string();
        insta::assert_snapshot!(text, @r#"
    estimated time   12.35 us -> 2.00 us
    kernels          3 -> 2
    search           120 terms in 60 classes, after 1 round

    Rules of the phase `algebra`
      9 x commute (exact)
          operands of add, mul, and… in either order are one class; where the swapped e-node exists
          model.tx:2  x @ p.w + p.b
          model.tx:2  relu(x @ p.w + p.b)
          model.tx:3  mean(square(z - t))
          model.tx:3  z - t
          and 1 more place

    Rules of the phase `movement`
      2 x transpose-transpose (exact)
          one transpose, or none
          model.tx:2  x @ p.w

    Proof of `loss`, from what was written to what is computed: 2 steps
      -> commute                  add(p, q)
      <- mul-one                  mul(p, 1)

    Values with several uses
      recomputed max: f32[32, 10] (2 uses, model.tx:2)
                 the whole takes 2.00 us, with it stored 2.50 us

    Kernels joined
      contract + add_max
          the elements of the product go on in registers

    Kernels
        0  contract_add_max: [32 x 784] by [784 x 10]
           of model.tx:2
        1  sub_mul: 32 rows, 2 passes over 10, 4 x 10
           of model.tx:2
           backward of model.tx:3
    "#);
    }

    #[test]
    fn says_why_nothing_changed() {
        let report =
            Report { kept_input: Some("nothing cheaper was found".into()), ..Report::default() };
        let (sources, report, program) = (&Sources::default(), &report, &Program::default());
        let (before, after) = (program, program);
        let explanation = Explanation { sources, report, before, after, joins: &[] };
        assert!(explanation.to_string().contains("stays as it is: nothing cheaper was found.\n"));
    }
}
