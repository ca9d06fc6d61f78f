//! Categories: two levels below a root.

use super::graphql::Field;
use super::page::{Page, write_object};
use super::root::{Failure, required};
use crate::catalogue::{CATEGORIES, Category};
use crate::json::Json;

const ROOT: &str = "00000000";

/// The key of a category of items.
pub(super) fn key_of(category: &Category) -> String {
    format!("1{:03}{:04}", category.parent_place + 1, category.place + 1)
}

/// A category as it is shown.
#[derive(Debug, Clone)]
struct Shown {
    key: String,
    name: String,
    full_name: String,
}

impl Shown {
    fn of(category: &Category) -> Self {
        let (parent, name) = (category.parent, category.name);
        let full_name = format!("{parent} > {name}");
        Self { key: key_of(category), name: name.to_owned(), full_name }
    }

    fn parent_of(category: &Category) -> Self {
        let key = format!("1{:03}0000", category.parent_place + 1);
        let name = category.parent.to_owned();
        Self { key, full_name: name.clone(), name }
    }

    fn root() -> Self {
        Self { key: ROOT.to_owned(), name: "ROOT".to_owned(), full_name: String::new() }
    }

    fn is_below(&self, key: &str) -> bool {
        let is_of_parent =
            key.ends_with("0000") && self.key.starts_with(key.trim_end_matches("0000"));
        self.key != key && (key == ROOT || is_of_parent)
    }
}

/// Parents before their children.
fn every() -> Vec<Shown> {
    let mut all = Vec::<Shown>::new();
    for category in CATEGORIES {
        let parent = Shown::parent_of(category);
        if !all.iter().any(|known| known.key == parent.key) {
            all.push(parent);
        }
        all.push(Shown::of(category));
    }
    all
}

pub(super) fn one(field: &Field, json: &mut Json) -> Result<(), Failure> {
    let key = required(field, "key")?;
    let mut known = std::iter::once(Shown::root()).chain(every());
    let category = known.find(|category| category.key == key);
    let category = category.ok_or_else(|| "해당 카테고리를 찾을 수 없습니다.".to_owned())?;
    // Its pages are asked for by the caller: they can fail, and nothing else can.
    for part in field.fields.iter().filter(|part| part.name == "descendants") {
        descendants(&category, part)?;
    }
    write_shown(&category, &field.fields, json);
    Ok(())
}

pub(super) fn all(field: &Field, json: &mut Json) -> Result<(), Failure> {
    let page = Page::of_list(every(), "category", field)?;
    page.write(field, json, write_shown);
    Ok(())
}

fn descendants(category: &Shown, field: &Field) -> Result<Page<Shown>, Failure> {
    let below = every().into_iter().filter(|one| one.is_below(&category.key)).collect();
    Page::of_list(below, "category", field)
}

pub(super) fn write(category: &Category, fields: &[Field], json: &mut Json) {
    write_shown(&Shown::of(category), fields, json);
}

fn write_shown<T: std::borrow::Borrow<Shown>>(category: &T, fields: &[Field], json: &mut Json) {
    let category = category.borrow();
    write_object(fields, json, |field, json| match field.name.as_str() {
        "key" => json.text(&category.key),
        "name" => json.text(&category.name),
        "fullName" => json.text(&category.full_name),
        _ => match descendants(category, field) {
            Ok(page) => page.write(field, json, write_shown),
            Err(_) => json.null(),
        },
    });
}
