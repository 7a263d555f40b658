//! Rules as egg rewrites: searching and applying.
//!
//! A rule's search visits only the classes that hold an e-node of its root kinds, and carries the
//! terms it built to the application, so that nothing is matched twice. Matches whose right side is
//! already equal are dropped in the search: counts are of changes, and saturation is seen at once.

use super::analysis::{Analysis, EGraph};
use super::language::{ENode, Kind};
use super::rules::pattern::{Bound, Term};
use super::rules::{Act, Rule};
use super::site::{Found, Ref, Site};
use egg::{Applier, Id, PatternAst, Rewrite, SearchMatches, Searcher, Subst, Var};
use std::sync::{Arc, Mutex};

/// The rule as egg runs it; `None` for rules that the fusion phase applies itself.
pub fn rewrite(rule: &'static Rule) -> Option<Rewrite<ENode, Analysis>> {
    let (search, apply) = parts(rule)?;
    Some(Rewrite::new(rule.name, search, apply).expect("no variables to bind"))
}

fn parts(rule: &'static Rule) -> Option<(Search, Apply)> {
    let (roots, find) = match rule.act {
        Act::Fusion => return None,
        Act::Code { roots, find, .. } => (roots.to_vec(), Find::Code(find)),
        Act::Terms { left, right, when } => {
            let left = Term::parse(left);
            let Term::Map(op, _) = &left else { panic!("{}: the left side is a term", rule.name) };
            (vec![Kind::Map(*op)], Find::Terms(left, Term::parse(right), when.holds))
        }
    };
    let found = Arc::new(Mutex::new(Vec::new()));
    let search = Search { roots, find, found: Arc::clone(&found) };
    Some((search, Apply { rule, found }))
}

enum Find {
    Code(fn(&mut Site<'_>, &ENode)),
    Terms(Term, Term, fn(&Site<'_>, &Bound) -> bool),
}

struct Search {
    roots: Vec<Kind>,
    find: Find,
    found: Arc<Mutex<Vec<Found>>>,
}

impl Search {
    fn visit(&self, site: &mut Site<'_>, node: &ENode) {
        match &self.find {
            Find::Code(find) => find(site, node),
            Find::Terms(left, right, holds) => {
                let mut bound = Bound::default();
                if left.match_node(site, node, &mut bound)
                    && holds(site, &bound)
                    && let Some(root) = right.build(site, &bound, Ref::Class(site.class()))
                {
                    site.emit(node, root);
                }
            }
        }
    }
}

impl Searcher<ENode, Analysis> for Search {
    fn search_eclass_with_limit(
        &self,
        _: &EGraph,
        _: Id,
        _: usize,
    ) -> Option<SearchMatches<'_, ENode>> {
        unreachable!("rules search the whole e-graph")
    }

    fn search_with_limit(&self, egraph: &EGraph, limit: usize) -> Vec<SearchMatches<'_, ENode>> {
        let mut site = Site::new(egraph, Id::from(0));
        'search: for kind in &self.roots {
            let Some(classes) = egraph.classes_for_op(kind) else { continue };
            for class in classes {
                site.enter(class);
                for node in egraph[class].nodes.iter().filter(|n| n.kind() == *kind) {
                    self.visit(&mut site, node);
                }
                if site.count() >= limit {
                    break 'search;
                }
            }
        }
        let found = site.into_found();
        let substs: Vec<Subst> = (0..found.len())
            .map(|i| {
                let mut subst = Subst::with_capacity(1);
                subst.insert(match_number(), Id::from(i));
                subst
            })
            .collect();
        let eclass = found.first().map(|f| f.class);
        *self.found.lock().expect("searches do not panic") = found;
        match eclass {
            Some(eclass) => vec![SearchMatches { eclass, substs, ast: None }],
            None => Vec::new(),
        }
    }

    fn vars(&self) -> Vec<Var> {
        Vec::new()
    }
}

/// What the last search of a rewrite found: for tests, which apply it in their own way.
#[cfg(test)]
pub fn search_only(rule: &'static Rule, egraph: &EGraph) -> Vec<Found> {
    let (search, _) = parts(rule).expect("a rule that searches");
    search.search_with_limit(egraph, usize::MAX);
    std::mem::take(&mut *search.found.lock().expect("searches do not panic"))
}

/// The variable that a match's number is bound to.
fn match_number() -> Var {
    Var::from_u32(0)
}

struct Apply {
    rule: &'static Rule,
    found: Arc<Mutex<Vec<Found>>>,
}

impl Applier<ENode, Analysis> for Apply {
    fn apply_matches(
        &self,
        egraph: &mut EGraph,
        matches: &[SearchMatches<'_, ENode>],
        _: egg::Symbol,
    ) -> Vec<Id> {
        let found = std::mem::take(&mut *self.found.lock().expect("searches do not panic"));
        let chosen = matches.iter().flat_map(|m| &m.substs).map(|s| usize::from(s[match_number()]));
        let mut changed = Vec::new();
        for found in chosen.map(|i| &found[i]) {
            if self.rule.supersedes {
                egraph.analysis.superseded.push(found.node.clone());
            }
            if found.apply(egraph, self.rule.name) {
                egraph.analysis.applied.push((self.rule.name, found.class));
                changed.push(found.class);
            }
        }
        changed
    }

    fn apply_one(
        &self,
        _: &mut EGraph,
        _: Id,
        _: &Subst,
        _: Option<&PatternAst<ENode>>,
        _: egg::Symbol,
    ) -> Vec<Id> {
        unreachable!("matches are applied together")
    }
}
