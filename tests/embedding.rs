//! What a host program sees of the library: mistakes of the host are errors with a place, never a
//! panic; what was compiled, why, and how much of it is kept.

use std::sync::mpsc::channel;
use std::sync::{Arc, Weak};
use tensc::autodiff::{gradient, jacobian, vjp};
use tensc::codegen::Isa;
use tensc::graph::{Builder, Dim, DimVar, Graph, NodeId, TensorType};
use tensc::module::{Given, Tree};
use tensc::script::Transcript;
use tensc::session::sizes::Mismatch;
use tensc::session::{Compilation, Difference, Reason, Told};
use tensc::{
    Argument, CallError, Compiled, DType, Function, Module, Options, RunOptions, Scalar, Session,
    TensorView,
};

fn module(text: &str) -> Module {
    Module::from_source("host.tx", text).unwrap_or_else(|failure| panic!("{failure}"))
}

fn function(text: &str, name: &str) -> (Module, Function) {
    let module = module(text);
    let function = module.function(name).expect("it is there");
    (module, function)
}

fn on_one_thread() -> Session {
    Session::new(Options { threads: 1, ..Options::default() })
}

/// What `main` prints for these inputs, or the message.
fn run(text: &str, inputs: &[(&str, Scalar)]) -> String {
    let inputs = inputs.iter().map(|(name, value)| (name.to_string(), *value)).collect();
    let mut transcript = Transcript::default();
    let ran = module(text).run(&on_one_thread(), &RunOptions { inputs }, &mut transcript);
    match ran {
        Ok(()) => transcript.lines.join("\n"),
        Err(failure) => {
            assert!(transcript.lines.is_empty(), "nothing runs before: {transcript:?}");
            failure.to_string()
        }
    }
}

#[test]
fn inputs_of_main_are_checked_before_it_runs() {
    let source = "input rounds: i64 = 3\nmain { for i in 0..rounds { print(i) } }";
    assert_eq!(run(source, &[("rounds", Scalar::new(2i64))]), "0\n1");
    insta::assert_snapshot!(run(source, &[("rounds", Scalar::new(2i32))]), @"
    error[E0602]: the input `rounds` is i64, and was given i32
     --> host.tx:1:1
      |
    1 | input rounds: i64 = 3
      | ^^^^^^^^^^^^^^^^^^^^^ i64 by its default 3
    ");
    insta::assert_snapshot!(run(source, &[("round", Scalar::new(2i64))]), @"
    error[E0301]: there is no input `round`
     --> host.tx:1:1
      |
    1 | input rounds: i64 = 3
      | ^^^^^^^^^^^^^^^^^^^^^
      |
      = help: did you mean `rounds`?
    ");
    insta::assert_snapshot!(run(source, &[("seed", Scalar::new(2i64))]), @"
    error[E0301]: there is no input `seed`
     |
     = help: the inputs are rounds
    ");
    let twice = [("rounds", Scalar::new(2i64)), ("rounds", Scalar::new(3i64))];
    insta::assert_snapshot!(run(source, &twice), @"
    error[E0304]: the input `rounds` is given twice
     --> host.tx:1:1
      |
    1 | input rounds: i64 = 3
      | ^^^^^^^^^^^^^^^^^^^^^
    ");
}

const ADD: &str = "fn add[N](x: f32[N], y: f32[N]) -> f32[N] = x + y";

#[test]
fn an_argument_that_does_not_fit_says_what_made_it_wrong() {
    let (module, add) = function(ADD, "add");
    let session = on_one_thread();
    let (three, two) = ([1f32, 2.0, 3.0], [1f32, 2.0]);
    let (x, y) = (TensorView::new(&three, [3]), TensorView::new(&two, [2]));
    let error = add.call(&session, &[x.clone(), y]).expect_err("3 is not 2");
    let CallError::Type { input, mismatch, told, .. } = &error else { panic!("{error:?}") };
    assert_eq!(input.name, "y");
    let Mismatch::Size { axis: 0, expected: Dim::Const(3), found: 2, .. } = mismatch else {
        panic!("{mismatch:?}")
    };
    let [Told { size, value: 3, input, axis: 0 }] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((size.as_str(), input.name.as_str()), ("N", "x"));
    let text = "`y` needs f32[N], found f32[2] (axis 0 is declared N = 3, found 2; N = 3 comes \
                from axis 0 of `x`)";
    assert_eq!(error.to_string(), text);
    insta::assert_snapshot!(module.call_failure(&error).to_string(), @"
    error[E0602]: `y` needs f32[N], found f32[2]
     --> host.tx:1:25
      |
    1 | fn add[N](x: f32[N], y: f32[N]) -> f32[N] = x + y
      |              ------     ^^^^^^ axis 0 is declared N = 3, found 2
      |              |
      |              N = 3 comes from axis 0 of `x`
    ");
    let told = |arguments: &[TensorView<'_>]| {
        add.call(&session, arguments).expect_err("it does not fit").to_string()
    };
    let double = TensorView::new(&[1f64, 2.0, 3.0], [3]).to_tensor();
    assert_eq!(
        told(&[x.clone(), double.view()]),
        "`y` needs f32[N], found f64[3] (declared f32, found f64)"
    );
    assert_eq!(
        told(&[x.clone(), TensorView::new(&three, [3, 1])]),
        "`y` needs f32[N], found f32[3, 1] (declared rank 1, found rank 2)"
    );
    let missing = add.call(&session, std::slice::from_ref(&x)).expect_err("`y` is missing");
    insta::assert_snapshot!(module.call_failure(&missing).to_string(), @"
    error[E0602]: 2 arguments are needed, 1 argument was given: `y` has none
     --> host.tx:1:25
      |
    1 | fn add[N](x: f32[N], y: f32[N]) -> f32[N] = x + y
      |                         ^^^^^^ there is no argument for this
    ");
    let four = [x.clone(), x.clone(), x.clone()];
    assert_eq!(told(&four), "2 arguments are needed, 3 arguments were given");
    // What is compiled says the same of its own types; another module's lines are not shown.
    let compiled = add.compile(&session, &[x.clone(), x.clone()]).expect("it fits");
    let mut given = [Argument::Borrowed(x.clone()), Argument::Borrowed(x.clone())];
    let error = compiled.call_reusing(session.pool(), &mut given, &mut []);
    let text = "places for results: 1 needed, 0 given";
    assert_eq!(error.expect_err("there is no place").to_string(), text);
    let given = vec![Argument::Borrowed(x), Argument::Borrowed(double.view())];
    let error = compiled.call(session.pool(), given).expect_err("f64 is not f32");
    assert_eq!(error.to_string(), "`y` needs f32[3], found f64[3] (declared f32, found f64)");
    let other = Module::from_source("a.tx", "main { }").expect("it is right");
    let message = other.call_failure(&error).to_string();
    assert_eq!(message.trim_end(), format!("error[E0602]: {error}"));
}

#[test]
fn sizes_that_nothing_tells_or_that_cannot_be_have_their_codes() {
    let (module, blank) = function("fn blank[N]() -> f32[N] = zeros([N])", "blank");
    let error = blank.call(&on_one_thread(), &[]).expect_err("nothing tells N");
    let message = module.call_failure(&error).to_string();
    assert_eq!(message.trim_end(), "error[E0206]: no parameter of `blank` tells the size `N`");
    let (module, short) = function("fn short[N](x: f32[N]) -> f32[N - 3] = x[3:]", "short");
    let error =
        short.call(&on_one_thread(), &[TensorView::new(&[1f32], [1])]).expect_err("1 - 3 < 0");
    assert!(matches!(error, CallError::Size(_)), "{error:?}");
    let message = module.call_failure(&error).to_string();
    assert!(message.starts_with("error[E0605]: "), "{message}");
}

fn f32s(sizes: &[i64]) -> TensorType {
    TensorType::new(DType::F32, sizes.iter().map(|&n| Dim::Const(n)))
}

fn graph(make: impl FnOnce(&Builder<'_>)) -> Graph {
    let mut graph = Graph::new();
    make(&Builder::new(&mut graph));
    graph
}

#[test]
fn graphs_that_cannot_be_compiled_are_errors() {
    let session = on_one_thread();
    let told = |graph: &Graph| session.compile_graph(graph).expect_err("it cannot be").to_string();
    let n = Dim::var(DimVar { id: 0, name: "N".into() });
    let symbolic = graph(|b| b.output("y", b.exp(b.input("x", TensorType::new(DType::F32, [n])))));
    assert_eq!(told(&symbolic), "the graph has sizes without a value: `N`");
    let unsound = |message: &str| format!("the graph is not well formed: {message}");
    let negative = graph(|b| b.output("y", b.exp(b.input("x", f32s(&[-3])))));
    assert!(told(&negative).starts_with(&unsound("")), "{}", told(&negative));
    let nowhere = graph(|b| b.output("y", NodeId::from_index(5)));
    assert_eq!(told(&nowhere), unsound("output `y` is %5, which does not exist"));
    let twins = graph(|b| {
        let (x, y) = (b.input("x", f32s(&[2])), b.input("x", f32s(&[2])));
        b.output("y", b.add(x, y));
    });
    assert_eq!(told(&twins), unsound("two inputs are named `x`"));
    let mut orphan = graph(|b| b.output("y", b.exp(b.input("x", f32s(&[2])))));
    orphan.remove_input(NodeId::from_index(0));
    assert_eq!(told(&orphan), unsound("%0: an input without a name"));
    let beyond = graph(|b| {
        let y = b.splat(b.input("x", f32s(&[])), &[Dim::Const(1 << 40), Dim::Const(1 << 40)]);
        b.output("y", b.sum_all(b.exp(y)));
    });
    let text = "this needs f32[1099511627776, 1099511627776], which does not fit the address space";
    assert_eq!(session.compile_graph(&beyond).err(), Some(CallError::Memory(text.to_string())));
    // Nothing of it is kept.
    assert_eq!(session.compiled_graphs(), 0);
}

#[test]
fn options_that_the_machine_or_the_rewriter_lacks_are_errors() {
    let (_, add) = function(ADD, "add");
    let (x, y) = (TensorView::new(&[1f32, 2.0], [2]), TensorView::new(&[3f32, 4.0], [2]));
    let call = |change: &dyn Fn(&mut Options)| {
        let mut options = Options { threads: 1, ..Options::default() };
        change(&mut options);
        add.call(&Session::new(options), &[x.clone(), y.clone()])
    };
    let error = call(&|options| options.compile.rewrite.only = Some(vec!["mul-won"]));
    let text = "there is no rewrite rule `mul-won`".to_string();
    assert_eq!(error, Err(CallError::Compile(text)));
    assert!(call(&|options| options.compile.rewrite.only = Some(vec!["mul-one"])).is_ok());
    for isa in Isa::ALL {
        let called = call(&|options| options.compile.emit.isa = isa);
        match isa.is_available() {
            true => assert_eq!(called.expect("it has code")[0].as_slice::<f32>(), [4.0, 6.0]),
            false => assert!(matches!(called, Err(CallError::Compile(_))), "{called:?}"),
        }
    }
}

#[test]
fn text_of_machine_code_is_kept_where_it_is_asked_for() {
    let (_, add) = function(ADD, "add");
    let (x, y) = (TensorView::new(&[1f32; 9], [9]), TensorView::new(&[3f32; 9], [9]));
    for keep_text in [false, true] {
        let mut options = Options { threads: 1, ..Options::default() };
        options.compile.emit.keep_text = keep_text;
        let compiled = add.compile(&Session::new(options), &[x.clone(), y.clone()]);
        let compiled = compiled.expect("it compiles");
        let texts = compiled.executable().expect("it is machine code").texts();
        assert_eq!(!texts.is_empty(), keep_text);
    }
}

#[test]
fn derivatives_that_are_not_there_are_errors() {
    let scalar = graph(|b| {
        let x = b.input("x", f32s(&[3]));
        b.output("sum", b.sum_all(b.square(x)));
        b.output("all", x);
    });
    let refused = |derived: Result<Graph, tensc::autodiff::NotDifferentiable>| {
        let refused = derived.expect_err("there is none");
        format!("{refused}; {}", refused.help)
    };
    assert_eq!(
        refused(gradient(&scalar, 9, &[0])),
        "there is no output 9, the graph has 2; \
         outputs are counted from 0, in the order of Graph::outputs"
    );
    assert_eq!(
        refused(jacobian(&scalar, &[9])),
        "there is no input 9, the graph has 1; \
         inputs are counted from 0, in the order of Graph::inputs"
    );
    assert_eq!(
        refused(vjp(&scalar, &[0, 0])),
        "the input `x` is asked for twice; name each input of `wrt` once"
    );
    assert_eq!(
        refused(gradient(&scalar, 1, &[0])),
        "%0: a gradient needs a floating-point scalar, this is f32[3]; \
         differentiate one number made of it, such as its sum, or use vjp"
    );
}

/// A session that tells what it compiles, and what it has told so far.
fn telling(options: Options) -> (Session, impl Fn() -> Vec<Compilation>) {
    let (sender, told) = channel();
    let mut session = Session::new(options);
    session.on_compile(move |compilation| drop(sender.send(compilation.clone())));
    (session, move || told.try_iter().collect())
}

#[test]
fn compiling_tells_what_is_new() {
    let source = "fn rows[N, M](x: f32[N, M]) -> f32[M] = sum(x * 2.0, axis = 0)
                  fn any[T: float, N](x: T[N]) -> T[N] = x * 2.0";
    let (host, rows) = function(source, "rows");
    let (session, told) = telling(Options { threads: 1, ..Options::default() });
    let x = [1f32; 64];
    let call = |n: usize, m: usize| {
        rows.call(&session, &[TensorView::new(&x[..n * m], [n, m])]).expect("it is right");
        told().into_iter().map(|compilation| compilation.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(call(2, 3), ["rows for N = 2, M = 3, the first time"]);
    assert!(call(2, 3).is_empty());
    assert_eq!(call(8, 8), ["rows for N = 8, M = 8, before for N = 2, M = 3"]);
    // The nearest is told of, not the last.
    assert_eq!(call(2, 4), ["rows for N = 2, M = 4, before for M = 3"]);
    assert!(call(2, 3).is_empty() && call(8, 8).is_empty());

    let any = |dtype| {
        let ty = TensorType::new(dtype, [Dim::Const(2)]);
        let given = [("x".to_string(), Given::Data(Tree::Leaf(ty)))];
        host.instantiate("any", &given).expect("it is of any floats")
    };
    any(DType::F32).call(&session, &[TensorView::new(&[1f32, 2.0], [2])]).expect("it is right");
    any(DType::F64).call(&session, &[TensorView::new(&[1f64, 2.0], [2])]).expect("it is right");
    let told_of_types: Vec<_> = told();
    let Reason::Differs(differences) = &told_of_types[1].reason else {
        panic!("{told_of_types:?}")
    };
    let [Difference::Input { name, now, before }] = &differences[..] else {
        panic!("{differences:?}")
    };
    assert_eq!((name.as_str(), now.0, before.0), ("x", DType::F64, DType::F32));

    // The same name, another program.
    let (_, edited) = function(&source.replace("* 2.0", "* 3.0"), "rows");
    edited.call(&session, &[TensorView::new(&x[..6], [2, 3])]).expect("it is right");
    let text: Vec<String> = told().iter().map(ToString::to_string).collect();
    assert_eq!(text, ["rows for N = 2, M = 3, before for another program"]);
}

#[test]
fn steps_of_main_tell_why_they_are_compiled() {
    let source = "main { for b in batches(ones([10, 4]), 4) { print(sum(b)) } }";
    let (session, told) = telling(Options { threads: 1, ..Options::default() });
    let module = module(source);
    let mut transcript = Transcript::default();
    module.run(&session, &RunOptions::default(), &mut transcript).expect("it is right");
    assert_eq!(transcript.lines, ["16.0", "16.0", "8.0"]);
    let compiled = told();
    let last = compiled.last().expect("something was compiled");
    let Reason::Differs(differences) = &last.reason else { panic!("{last}") };
    let [Difference::Size { now: 2, before: 4, .. }] = &differences[..] else { panic!("{last}") };
    let span = last.subject.origin.span.expect("it is written somewhere");
    assert_eq!(module.sources().line_column(span).0, 1);
    module.run(&session, &RunOptions::default(), &mut transcript).expect("it is right");
    assert!(told().is_empty(), "everything was there");
}

#[test]
fn of_many_shapes_as_many_are_kept_as_the_capacity_says() {
    let (_, twice) = function("fn twice[N](x: f32[N]) -> f32[N] = x * 2.0", "twice");
    let (session, told) = telling(Options { threads: 1, capacity: 8, ..Options::default() });
    let x = vec![1f32; 1000];
    let compile = |n: usize| -> Arc<Compiled> {
        twice.compile(&session, &[TensorView::new(&x[..n], [n])]).expect("it is right")
    };
    let first: Weak<Compiled> = Arc::downgrade(&compile(1));
    let held = compile(2);
    for n in 3..100 {
        compile(n);
        compile(1);
        assert!(session.compiled_graphs() <= 8);
    }
    assert!(first.upgrade().is_some(), "what is used again and again is kept");
    told();
    compile(50);
    let text: Vec<String> = told().iter().map(ToString::to_string).collect();
    assert_eq!(text, ["twice for N = 50, again: it was dropped, as 8 graphs are kept"]);
    // What is held goes on.
    let given = vec![Argument::Borrowed(TensorView::new(&x[..2], [2]))];
    assert_eq!(
        held.call(session.pool(), given).expect("it is right")[0].as_slice::<f32>(),
        [2.0; 2]
    );
    session.clear();
    assert_eq!(session.compiled_graphs(), 0);
    assert!(first.upgrade().is_none(), "nothing else holds it");
    let result = twice.call(&session, &[TensorView::new(&x[..3], [3])]).expect("it is right");
    assert_eq!(result[0].as_slice::<f32>(), [2.0; 3]);
}

/// Kilobytes of memory that this process has now.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells it");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("it is told");
    line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "compiles a thousand programs"]
fn memory_stays_bounded_over_a_thousand_shapes() {
    let source = "fn f[N](x: f32[N]) -> f32 = sum(softmax(x[:, None] * x[None, :], axis = 1))";
    let (_, f) = function(source, "f");
    let session = Session::new(Options { threads: 1, capacity: 16, ..Options::default() });
    let x = vec![1f32; 1100];
    let call = |n: usize| drop(f.call(&session, &[TensorView::new(&x[..n], [n])]).expect("right"));
    // The largest come first: sixteen of them take more memory than any sixteen that follow.
    (1000..1100).for_each(call);
    let before = resident();
    (100..1000).for_each(call);
    let after = resident();
    println!("{before} KB after 100 shapes, {after} KB after 1000");
    assert!(after < before + 4096, "{before} KB, then {after} KB");
}

/// What stands in the README between fences of a language.
fn readme(language: &str) -> String {
    let text = std::fs::read_to_string("README.md").expect("there is one");
    let (_, behind) = text.split_once(&format!("```{language}\n")).expect("it is shown");
    behind.split("```").next().expect("a part").to_string()
}

#[test]
fn the_readme_shows_what_is_right() {
    let shown = readme("tx");
    module(&shown);
    assert_eq!(tensc::module::format("README.md", &shown).expect("it is right"), shown);
    // The example of the documentation, which is compiled and run.
    let documented = std::fs::read_to_string("compiler/lib.rs").expect("it is here");
    let lines: Vec<&str> = documented.lines().filter_map(|line| line.strip_prefix("//!")).collect();
    let documented: String =
        lines.iter().map(|l| format!("{}\n", l.strip_prefix(' ').unwrap_or(l))).collect();
    assert!(documented.contains(&readme("rust")), "compiler/lib.rs begins with another example");
    let manifest = std::fs::read_to_string("Cargo.toml").expect("it is here");
    assert!(readme("toml").contains("default-features = false"));
    assert!(manifest.contains("default = [\"cli\"]"));
}
