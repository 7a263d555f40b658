//! Fuse, share or recompute: which classes are stored in memory, and, with that, which e-node of a
//! class is best. A local search with the exact cost and a fixed number of steps.
//!
//! A [`Plan`] is a choice of e-nodes and a set of *stored* classes. What is not stored is computed
//! inside the expressions that use it, once in each: so a plan stands for one fused e-node a stored
//! class, its most fused variant above the stored classes below it. The variants of a class (2^n of
//! them for n values below) thus need no e-nodes to be compared; `fusion` makes those of the plan
//! that is kept.
//!
//! Always stored: outputs, what kernels of their own read, and reductions.

use super::cost::Work;
use super::extract::{ClassNumber, Problem, Role};
use crate::graph::{Dim, Op, TensorType};
use smallvec::SmallVec;

/// An expression has at most so many instructions…
pub const MOST_INSTRUCTIONS: usize = 96;
/// …and at most so many operands.
pub const MOST_OPERANDS: usize = 14;

/// Passes over all moves.
const PASSES: usize = 4;
/// Plans that are weighed at most ...
const MOST_PLANS: usize = 3000;
/// ... and classes in all of them together: a plan takes as long as it has classes.
const MOST_CLASSES: usize = 2_000_000;
/// The cost of what must not be.
const IMPOSSIBLE: f64 = 1e12;

/// A choice of e-nodes and of what is stored.
#[derive(Clone, Debug)]
pub struct Plan {
    /// By class: the number of the alternative.
    pub choice: Vec<u8>,
    /// By class: kept in memory even where expressions could recompute it.
    pub stored: Vec<bool>,
    /// Nanoseconds.
    pub cost: f64,
}

/// Why a value that several kernels use is stored or not.
#[derive(Clone, PartialEq, Debug)]
pub struct Decision {
    /// The class.
    pub class: ClassNumber,
    /// How many kernels use the value.
    pub uses: usize,
    /// Whether it is stored.
    pub stored: bool,
    /// The cost of the plan with it stored.
    pub cost_stored: f64,
    /// The cost of the plan with it recomputed in each use.
    pub cost_recomputed: f64,
}

/// Starts from a choice and improves it.
pub fn improve(problem: &Problem, choice: Vec<u8>) -> Plan {
    let mut search = Search::new(problem);
    let n = problem.classes.len();
    let mut plan = Plan { choice, stored: vec![false; n], cost: 0.0 };
    search.store_large(&mut plan);
    plan.cost = search.cost(&plan);
    for _ in 0..PASSES {
        let before = plan.cost;
        search.flip_stored(&mut plan);
        search.flip_choices(&mut plan);
        if plan.cost >= before || search.weighed >= search.most {
            break;
        }
    }
    plan
}

/// For every value that two or more kernels use, or a larger expression repeats: what storing and
/// recomputing it cost, all else as in the plan; of a very large plan the first of them.
pub fn decisions(problem: &Problem, plan: &Plan) -> Vec<Decision> {
    let mut search = Search::new(problem);
    let mut plan = plan.clone();
    let mut decisions = Vec::new();
    for class in search.candidates(&plan) {
        if search.weighed >= search.most {
            break;
        }
        let at = class as usize;
        let stored = plan.stored[at];
        let mut with = |stored: bool| {
            plan.stored[at] = stored;
            search.cost(&plan)
        };
        let (cost_stored, cost_recomputed) = (with(true), with(false));
        plan.stored[at] = stored;
        let uses = search.uses[at] as usize;
        if cost_recomputed < IMPOSSIBLE && uses > 1 {
            decisions.push(Decision { class, uses, stored, cost_stored, cost_recomputed });
        }
    }
    decisions
}

/// A kernel of a plan while it is weighed.
struct Kernel {
    class: ClassNumber,
    work: Work,
    /// The product whose elements it may compute on as they are made.
    product: Option<ClassNumber>,
}

struct Search<'p> {
    problem: &'p Problem,
    is_output: Vec<bool>,
    weighed: usize,
    /// Plans that are weighed at most.
    most: usize,
    /// Scratch, valid where the stamp is that of the current round.
    round: u32,
    needed: Vec<u32>,
    body: u32,
    in_body: Vec<u32>,
    readers: Vec<u32>,
    /// Those of the readers that go over the same rows: kernels are joined then, and a row is read
    /// while it is in the nearest cache.
    row_readers: Vec<u32>,
    queue: Vec<ClassNumber>,
    /// Whether it is read against the order of memory, and how many of its elements are.
    stack: Vec<(ClassNumber, bool, f64)>,
    kernels: Vec<Kernel>,
    /// Users in the chosen DAG, filled by `candidates`.
    uses: Vec<u32>,
}

impl<'p> Search<'p> {
    fn new(problem: &'p Problem) -> Search<'p> {
        let n = problem.classes.len();
        let mut is_output = vec![false; n];
        problem.outputs.iter().for_each(|&o| is_output[o as usize] = true);
        Search {
            problem,
            is_output,
            weighed: 0,
            most: MOST_PLANS.min(MOST_CLASSES / n.max(1)),
            round: 0,
            needed: vec![0; n],
            body: 0,
            in_body: vec![0; n],
            readers: vec![0; n],
            row_readers: vec![0; n],
            queue: Vec::new(),
            stack: Vec::new(),
            kernels: Vec::new(),
            uses: vec![0; n],
        }
    }

    /// Nanoseconds of a plan, whose choices are acyclic.
    fn cost(&mut self, plan: &Plan) -> f64 {
        self.weighed += 1;
        self.round += 1;
        self.kernels.clear();
        self.queue.clear();
        let problem = self.problem;
        let mut total = 0.0;
        for &output in &problem.outputs {
            self.need(output);
        }
        let mut next = 0;
        while next < self.queue.len() {
            let class = self.queue[next];
            next += 1;
            total += self.kernel(plan, class);
        }
        // Work on a product that nothing else reads is done as its elements are made.
        for kernel in &mut self.kernels {
            if let Some(product) = kernel.product
                && self.readers[product as usize] == 1
                && !self.is_output[product as usize]
            {
                let traffic = problem.class(product).traffic;
                kernel.work.load -= traffic;
                kernel.work.dispatch = 0.0;
                total -= traffic;
            }
            let at = kernel.class as usize;
            let readers = self.readers[at];
            if readers > 0 && self.row_readers[at] == readers && !self.is_output[at] {
                let made = problem.class(kernel.class);
                kernel.work.store -= made.traffic - made.row_traffic;
                kernel.work.dispatch = 0.0;
            }
        }
        total + self.kernels.iter().map(|k| k.work.time()).sum::<f64>()
    }

    fn need(&mut self, class: ClassNumber) {
        let at = class as usize;
        if self.needed[at] != self.round {
            self.needed[at] = self.round;
            self.readers[at] = 0;
            self.row_readers[at] = 0;
            self.queue.push(class);
        }
    }

    /// Weighs the kernel that makes a stored class; what it costs beside the kernel itself.
    fn kernel(&mut self, plan: &Plan, class: ClassNumber) -> f64 {
        let problem = self.problem;
        let machine = &problem.machine;
        let here = problem.class(class);
        let alternative = &here.alternatives[plan.choice[class as usize] as usize];
        let solid = |search: &mut Self| {
            for &child in &alternative.children {
                search.need(child);
                search.readers[child as usize] += 1;
            }
        };
        let (points, reduces) = match alternative.role {
            Role::Source => return 0.0,
            Role::Alias | Role::Inline { alias: true, .. } => {
                solid(self);
                return alternative.penalty;
            }
            Role::Product(work) | Role::Solid(work) => {
                solid(self);
                self.kernels.push(Kernel { class, work, product: None });
                return alternative.penalty;
            }
            Role::Inline { .. } => (here.elements, false),
            Role::Reduce => (problem.class(alternative.children[0]).elements, true),
        };
        let made = class;
        let rows = self.rows(plan, class);
        // The expression: everything below down to what is stored.
        self.body += 1;
        self.stack.clear();
        self.stack.push((class, false, points));
        self.in_body[class as usize] = self.body;
        let (mut instructions, mut operands, mut penalty) = (0usize, 0usize, 0.0);
        let mut work = Work { store: here.traffic, dispatch: machine.dispatch, ..Work::default() };
        let mut product = None;
        while let Some((at, strided, read)) = self.stack.pop() {
            let class = problem.class(at);
            let alternative = &class.alternatives[plan.choice[at as usize] as usize];
            penalty += alternative.penalty;
            let mut strided = strided;
            match alternative.role {
                Role::Inline { units, strided: turns, .. } => {
                    instructions += usize::from(units > 0.0);
                    work.compute += machine.arithmetic(points, units, class.ty.dtype);
                    strided ^= turns;
                }
                _ => work.compute += machine.arithmetic(points, 1.0, class.ty.dtype),
            }
            for &child in &alternative.children {
                let at = child as usize;
                let below = problem.class(child);
                // A slice reads no more of what is below it than it has itself.
                let share = (read / below.elements).min(1.0);
                if below.constant || self.in_body[at] == self.body {
                    continue;
                }
                self.in_body[at] = self.body;
                let role = below.alternatives[plan.choice[at] as usize].role;
                let inline = matches!(role, Role::Inline { .. });
                if inline && !plan.stored[at] && !self.is_output[at] {
                    self.stack.push((child, strided, share * below.elements));
                    continue;
                }
                operands += 1;
                let joins = inline && !strided && rows.is_some() && rows == leading(&below.ty);
                work.load += share * if joins { below.row_traffic } else { below.traffic };
                if strided {
                    work.compute += machine.arithmetic(points, machine.strided, below.ty.dtype);
                }
                self.need(child);
                self.readers[at] += 1;
                self.row_readers[at] += u32::from(joins);
                let whole = below.elements == points && !strided && !reduces;
                if whole && matches!(role, Role::Product(_)) && product.is_none() {
                    product = Some(child);
                }
            }
        }
        if instructions > MOST_INSTRUCTIONS || operands > MOST_OPERANDS {
            penalty += IMPOSSIBLE;
        }
        self.kernels.push(Kernel { class: made, work, product });
        penalty
    }

    /// The axes around the rows that the kernel of a class goes over: all but the last, which is
    /// the only one that it may reduce.
    fn rows(&self, plan: &Plan, class: ClassNumber) -> Option<&'p [Dim]> {
        let problem = self.problem;
        let here = problem.class(class);
        let alternative = &here.alternatives[plan.choice[class as usize] as usize];
        match (alternative.role, alternative.node.op()) {
            (Role::Inline { .. }, _) => leading(&here.ty),
            (Role::Reduce, Some(Op::Reduce(_, axes))) => {
                let operand = &problem.class(alternative.children[0]).ty;
                let last = operand.rank() - 1;
                (axes.iter().all(|&a| usize::from(a) == last)).then(|| leading(operand)).flatten()
            }
            _ => None,
        }
    }

    /// Stores what would make expressions too long or repeat much arithmetic: a plan to start from.
    fn store_large(&mut self, plan: &mut Plan) {
        let problem = self.problem;
        let order = order(problem, &plan.choice);
        let mut units: Vec<f64> = vec![0.0; problem.classes.len()];
        let mut size: Vec<(usize, usize)> = vec![(0, 0); problem.classes.len()];
        self.count_uses(plan);
        for class in order {
            let at = class as usize;
            let alternative = &problem.class(class).alternatives[plan.choice[at] as usize];
            let Role::Inline { units: own, .. } = alternative.role else {
                // What a kernel of its own reads is in memory: others may as well read it.
                if matches!(alternative.role, Role::Product(_) | Role::Solid(_)) {
                    let inline = |c: ClassNumber| {
                        let chosen = plan.choice[c as usize] as usize;
                        let role = problem.class(c).alternatives[chosen].role;
                        matches!(role, Role::Inline { alias: false, .. })
                    };
                    for &child in alternative.children.iter().filter(|&&c| inline(c)) {
                        plan.stored[child as usize] = true;
                        (units[child as usize], size[child as usize]) = (0.0, (0, 1));
                    }
                }
                continue;
            };
            let (mut instructions, mut operands, mut total) = (1, 0, own);
            for &child in &alternative.children {
                let below = child as usize;
                if problem.class(child).constant {
                    continue;
                }
                let role = problem.class(child).alternatives[plan.choice[below] as usize].role;
                if matches!(role, Role::Inline { .. }) && !plan.stored[below] {
                    total += units[below];
                    instructions += size[below].0;
                    operands += size[below].1;
                } else {
                    operands += 1;
                }
            }
            units[at] = total;
            size[at] = (instructions, operands.max(1));
            let long = instructions > MOST_INSTRUCTIONS / 2 || operands > MOST_OPERANDS / 2;
            plan.stored[at] = long || (self.uses[at] > 1 && total > 8.0);
            if plan.stored[at] {
                (units[at], size[at]) = (0.0, (0, 1));
            }
        }
    }

    fn count_uses(&mut self, plan: &Plan) {
        let problem = self.problem;
        self.uses.fill(0);
        for class in order(problem, &plan.choice) {
            let chosen = plan.choice[class as usize] as usize;
            for &child in &problem.class(class).alternatives[chosen].children {
                self.uses[child as usize] += 1;
            }
        }
        problem.outputs.iter().for_each(|&o| self.uses[o as usize] += 1);
    }

    /// Expressions that may be stored or not: used twice, or by what has more elements.
    fn candidates(&mut self, plan: &Plan) -> Vec<ClassNumber> {
        let problem = self.problem;
        self.count_uses(plan);
        let order = order(problem, &plan.choice);
        let mut repeated = vec![false; problem.classes.len()];
        for &class in &order {
            let user = problem.class(class);
            for &child in &user.alternatives[plan.choice[class as usize] as usize].children {
                let grows = user.elements > problem.class(child).elements;
                repeated[child as usize] |= grows;
            }
        }
        let free = |&class: &ClassNumber| {
            let at = class as usize;
            let role = problem.class(class).alternatives[plan.choice[at] as usize].role;
            let inline = matches!(role, Role::Inline { .. });
            inline
                && !self.is_output[at]
                && !problem.class(class).constant
                && (self.uses[at] > 1 || repeated[at] || plan.stored[at])
        };
        order.iter().copied().filter(free).collect()
    }

    fn flip_stored(&mut self, plan: &mut Plan) {
        for class in self.candidates(plan) {
            if self.weighed >= self.most {
                return;
            }
            let at = class as usize;
            plan.stored[at] = !plan.stored[at];
            let cost = self.cost(plan);
            if cost < plan.cost - 1e-6 {
                plan.cost = cost;
            } else {
                plan.stored[at] = !plan.stored[at];
            }
        }
    }

    fn flip_choices(&mut self, plan: &mut Plan) {
        for class in order(self.problem, &plan.choice).into_iter().rev() {
            let at = class as usize;
            let count = self.problem.class(class).alternatives.len();
            for other in 0..count {
                if self.weighed >= self.most {
                    return;
                }
                let kept = plan.choice[at];
                if other == usize::from(kept) || !self.is_acyclic(plan, class, other) {
                    continue;
                }
                let left = &self.problem.class(class).alternatives[usize::from(kept)].children;
                plan.choice[at] = other as u8;
                let cost = self.cost(plan);
                if cost < plan.cost - 1e-6 {
                    plan.cost = cost;
                    continue;
                }
                // What the other e-node read may have been stored for its sake only.
                let freed: SmallVec<[ClassNumber; 4]> =
                    left.iter().copied().filter(|&c| plan.stored[c as usize]).collect();
                freed.iter().for_each(|&c| plan.stored[c as usize] = false);
                let cost = if freed.is_empty() { f64::INFINITY } else { self.cost(plan) };
                if cost < plan.cost - 1e-6 {
                    plan.cost = cost;
                } else {
                    freed.iter().for_each(|&c| plan.stored[c as usize] = true);
                    plan.choice[at] = kept;
                }
            }
        }
    }

    /// Whether the class is not below that alternative of itself.
    fn is_acyclic(&mut self, plan: &Plan, class: ClassNumber, alternative: usize) -> bool {
        self.body += 1;
        let problem = self.problem;
        let start = &problem.class(class).alternatives[alternative].children;
        let mut stack: SmallVec<[ClassNumber; 32]> = start.iter().copied().collect();
        while let Some(at) = stack.pop() {
            if at == class {
                return false;
            }
            if self.in_body[at as usize] != self.body {
                self.in_body[at as usize] = self.body;
                let chosen = plan.choice[at as usize] as usize;
                stack.extend(problem.class(at).alternatives[chosen].children.iter().copied());
            }
        }
        true
    }
}

/// The axes around the rows of a tensor.
fn leading(ty: &TensorType) -> Option<&[Dim]> {
    ty.shape.split_last().map(|(_, leading)| leading)
}

/// The classes that the outputs need under a choice, operands first. Panics where the choice is
/// cyclic, which extraction never makes.
pub fn order(problem: &Problem, choice: &[u8]) -> Vec<ClassNumber> {
    let mut state = vec![0u8; problem.classes.len()];
    let mut order = Vec::new();
    let mut stack: Vec<(ClassNumber, usize)> = Vec::new();
    for &output in &problem.outputs {
        if state[output as usize] != 0 {
            continue;
        }
        state[output as usize] = 1;
        stack.push((output, 0));
        while let Some((class, next)) = stack.pop() {
            let children =
                &problem.class(class).alternatives[choice[class as usize] as usize].children;
            match children.get(next) {
                Some(&child) => {
                    stack.push((class, next + 1));
                    match state[child as usize] {
                        0 => {
                            state[child as usize] = 1;
                            stack.push((child, 0));
                        }
                        1 => panic!("extraction made a cycle"),
                        _ => {}
                    }
                }
                None => {
                    state[class as usize] = 2;
                    order.push(class);
                }
            }
        }
    }
    order
}
