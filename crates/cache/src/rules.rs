//! Which event invalidates what.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::key::Scope;

/// Something happened in a scope, and values hang on it.
#[derive(Debug, Clone)]
pub struct Event<'a> {
    /// Like `products:updated`.
    pub name: &'a str,
    /// Whose values it reaches.
    pub scope: Scope,
    /// What the placeholders of templated targets stand for.
    pub fields: &'a [(&'a str, &'a str)],
    /// Says that two reports are of the same event: the second one changes nothing.
    pub id: Option<u128>,
}

impl<'a> Event<'a> {
    /// An event without fields and without an id.
    #[must_use]
    pub fn new(name: &'a str, scope: Scope) -> Self {
        Self { name, scope, fields: &[], id: None }
    }
}

/// What a rule's event invalidates.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// All of the event's scope in a namespace.
    Scope(String),
    /// The entries with a tag.
    Tag {
        namespace: String,
        template: String,
    },
    Event(String),
}

/// Rules as they are declared, and, once checked, as they are followed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules(BTreeMap<String, Vec<String>>);

impl Rules {
    pub(crate) fn add(&mut self, event: String, targets: impl Iterator<Item = String>) {
        self.0.entry(event).or_default().extend(targets);
    }

    /// Reads every target, follows events that lead to others, and refuses what leads nowhere or in a circle.
    pub(crate) fn check(&self, is_namespace: impl Fn(&str) -> bool) -> Result<Checked, Error> {
        let mut checked = BTreeMap::new();
        for event in self.0.keys() {
            let (mut reached, mut path) = (Vec::new(), Vec::new());
            self.follow(event, &is_namespace, &mut path, &mut reached)?;
            reached.sort();
            reached.dedup();
            checked.insert(event.clone(), reached);
        }
        Ok(Checked(checked))
    }

    fn follow(
        &self,
        event: &str,
        is_namespace: &impl Fn(&str) -> bool,
        path: &mut Vec<String>,
        reached: &mut Vec<Reach>,
    ) -> Result<(), Error> {
        let comes_again = path.iter().any(|before| before == event);
        path.push(event.to_owned());
        if comes_again {
            return Err(Error::Cycle(path.join(" → ")));
        }
        for target in self.0.get(event).into_iter().flatten() {
            match self.read(event, target, is_namespace)? {
                Reach::Event(next) => self.follow(&next, is_namespace, path, reached)?,
                reach @ (Reach::Scope(_) | Reach::Tag { .. }) => reached.push(reach),
            }
        }
        path.pop();
        Ok(())
    }

    fn read(
        &self,
        event: &str,
        target: &str,
        is_namespace: impl Fn(&str) -> bool,
    ) -> Result<Reach, Error> {
        if self.0.contains_key(target) {
            return Ok(Reach::Event(target.to_owned()));
        }
        let (namespace, template) = match target.split_once(':') {
            Some((namespace, template)) if placeholder(template).is_some() => {
                (namespace, Some(template))
            }
            Some(_) => {
                return Err(Error::BadTarget {
                    event: event.to_owned(),
                    target: target.to_owned(),
                });
            }
            None => (target, None),
        };
        if !is_namespace(namespace) {
            return Err(Error::UnknownNamespace {
                where_from: format!("the rule for {event:?}"),
                namespace: namespace.to_owned(),
            });
        }
        let namespace = namespace.to_owned();
        Ok(match template {
            Some(template) => Reach::Tag { namespace, template: template.to_owned() },
            None => Reach::Scope(namespace),
        })
    }
}

/// The text before, inside and after the first `{…}`.
fn placeholder(template: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = template.split_once('{')?;
    let (name, after) = rest.split_once('}')?;
    (!name.is_empty()).then_some((before, name, after))
}

/// Rules in which every target is known.
#[derive(Debug, Clone)]
pub(crate) struct Checked(BTreeMap<String, Vec<Reach>>);

/// What one event reaches: a namespace, and a tag or all of the scope.
pub(crate) type Reached<'a> = (&'a str, Option<String>);

impl Checked {
    /// `None` where there is no rule for the event.
    pub(crate) fn reached<'a>(&'a self, event: &Event<'_>) -> Option<Vec<Reached<'a>>> {
        let reaches = self.0.get(event.name)?;
        Some(reaches.iter().filter_map(|reach| Self::fill(reach, event)).collect())
    }

    fn fill<'a>(reach: &'a Reach, event: &Event<'_>) -> Option<Reached<'a>> {
        match reach {
            Reach::Scope(namespace) => Some((namespace, None)),
            // An event that lacks a field could mean any entry: it means them all.
            Reach::Tag { namespace, template } => Some((namespace, filled(template, event.fields))),
            Reach::Event(_) => None,
        }
    }
}

fn filled(template: &str, fields: &[(&str, &str)]) -> Option<String> {
    let (mut text, mut rest) = (String::new(), template);
    while let Some((before, name, after)) = placeholder(rest) {
        let (_, value) = fields.iter().find(|(field, _)| *field == name)?;
        text.push_str(before);
        text.push_str(value);
        rest = after;
    }
    text.push_str(rest);
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(rules: &[(&str, &[&str])]) -> Result<Checked, Error> {
        let mut built = Rules::default();
        for (event, targets) in rules {
            built.add((*event).to_owned(), targets.iter().map(|target| (*target).to_owned()));
        }
        built.check(|name| ["products", "inventory", "orders"].contains(&name))
    }

    fn reached(checked: &Checked, event: &Event<'_>) -> Vec<(String, Option<String>)> {
        let reached = checked.reached(event).expect("there is a rule");
        reached.into_iter().map(|(namespace, tag)| (namespace.to_owned(), tag)).collect()
    }

    #[test]
    fn an_event_reaches_what_it_leads_to_once() {
        let checked = rules(&[
            ("products:updated", &["products", "inventory"]),
            ("orders:paid", &["orders:{order_id}", "inventory:{sku}/{size}", "products:updated"]),
        ]);
        let checked = checked.expect("good rules");
        let event = Event {
            fields: &[("order_id", "7"), ("sku", "A{1}"), ("size", "M")],
            ..Event::new("orders:paid", Scope::SHARED)
        };
        let all = [
            ("inventory", None),
            ("products", None),
            ("inventory", Some("A{1}/M")),
            ("orders", Some("7")),
        ];
        let all = all.map(|(namespace, tag)| (namespace.to_owned(), tag.map(str::to_owned)));
        assert_eq!(reached(&checked, &event), all);
        assert!(checked.reached(&Event::new("orders:lost", Scope::SHARED)).is_none());
    }

    #[test]
    fn rules_for_one_event_add_up() {
        let checked = rules(&[("a:b", &["orders"]), ("a:b", &["products"])]).expect("good rules");
        let event = Event::new("a:b", Scope::new(7));
        assert_eq!((event.name, event.scope, event.id), ("a:b", Scope::new(7), None));
        let reached = reached(&checked, &event);
        assert_eq!(reached, [("orders".to_owned(), None), ("products".to_owned(), None)]);
    }

    #[test]
    fn every_placeholder_of_a_tag_is_filled_or_the_whole_scope_is_reached() {
        let checked = rules(&[("a:b", &["orders:x{one}y{two}z"])]).expect("good rules");
        let with =
            |fields| reached(&checked, &Event { fields, ..Event::new("a:b", Scope::SHARED) });
        let tag = |tag: &str| [("orders".to_owned(), Some(tag.to_owned()))];
        assert_eq!(with(&[("two", "2"), ("one", "1")]), tag("x1y2z"));
        assert_eq!(with(&[("one", "1")]), [("orders".to_owned(), None)]);
    }

    #[test]
    fn an_event_without_the_field_reaches_the_whole_scope() {
        let checked = rules(&[("orders:paid", &["orders:{order_id}"])]).expect("good rules");
        let event = Event::new("orders:paid", Scope::SHARED);
        assert_eq!(reached(&checked, &event), [("orders".to_owned(), None)]);
    }

    #[test]
    fn rules_that_cannot_be_followed_are_refused() {
        let unknown = rules(&[("a:b", &["ordres"])]).expect_err("unknown");
        assert!(matches!(unknown, Error::UnknownNamespace { .. }), "{unknown}");
        let circle = rules(&[("a:b", &["c:d"]), ("c:d", &["orders", "a:b"])]).expect_err("circle");
        assert_eq!(circle.to_string(), "the rules lead in a circle: a:b → c:d → a:b");
        for target in ["orders:{}", "orders:paid", "orders:{id", "orders:id}"] {
            let bad = rules(&[("a:b", &[target])]).expect_err("no name");
            assert!(matches!(bad, Error::BadTarget { .. }), "{bad}");
        }
    }
}
