//! Connections: pages of edges with cursors.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::graphql::Field;
use super::root::Failure;
use crate::json::Json;
use crate::settings::OversizedPage;
use crate::world::World;

/// The largest page.
pub(super) const LARGEST: usize = 1_000;
/// Where the caller says nothing.
const DEFAULT: usize = 100;

/// A page of entries, each with its cursor.
#[derive(Debug)]
pub(super) struct Page<T> {
    pub(super) edges: Vec<(String, T)>,
    pub(super) has_next: bool,
    pub(super) has_previous: bool,
    /// The cursor to go on with, where it is not that of the last edge.
    pub(super) end: Option<String>,
}

impl<T> Page<T> {
    /// A part of a list that is there as a whole, after a cursor that is a place in it.
    pub(super) fn of_list(list: Vec<T>, kind: &str, field: &Field) -> Result<Self, Failure> {
        let first = match field.text("after") {
            Some(cursor) => place(cursor, kind)?,
            None => 0,
        };
        let size = wanted(field, "first")?.unwrap_or(DEFAULT).min(LARGEST);
        let total = list.len();
        let start = usize::try_from(first).unwrap_or(usize::MAX).min(total);
        let entries = list.into_iter().enumerate().skip(start).take(size);
        let edges: Vec<_> =
            entries.map(|(place, entry)| (cursor(kind, place as u64 + 1), entry)).collect();
        let has_next = start + edges.len() < total;
        Ok(Self { edges, has_next, has_previous: start > 0, end: None })
    }

    pub(super) fn write(
        &self,
        field: &Field,
        json: &mut Json,
        write_node: impl Fn(&T, &[Field], &mut Json),
    ) {
        write_object(&field.fields, json, |part, json| match part.name.as_str() {
            "pageInfo" => self.write_info(part, json),
            _ => json.list(&self.edges, |(cursor, entry), json| {
                write_object(&part.fields, json, |part, json| match part.name.as_str() {
                    "cursor" => json.text(cursor),
                    _ => write_node(entry, &part.fields, json),
                });
            }),
        });
    }

    fn write_info(&self, info: &Field, json: &mut Json) {
        let first = self.edges.first().map(|(cursor, _)| cursor.as_str());
        let last = self.edges.last().map(|(cursor, _)| cursor.as_str());
        write_object(&info.fields, json, |part, json| match part.name.as_str() {
            "hasNextPage" => json.boolean(self.has_next),
            "hasPreviousPage" => json.boolean(self.has_previous),
            "startCursor" => json.maybe_text(first),
            _ => json.maybe_text(self.end.as_deref().or(last)),
        });
    }
}

/// An object with the fields that are asked for.
pub(super) fn write_object(
    fields: &[Field],
    json: &mut Json,
    mut write: impl FnMut(&Field, &mut Json),
) {
    json.object(
        fields,
        |field| &field.key,
        |field, json| match field.name.as_str() {
            "__typename" => json.text(field.parent),
            _ => write(field, json),
        },
    );
}

/// A size that was asked for.
fn wanted(field: &Field, name: &str) -> Result<Option<usize>, Failure> {
    let size = |size| match usize::try_from(size) {
        Ok(size) if size > 0 => Ok(size),
        _ => Err(format!("{name} must be a positive number.")),
    };
    field.number(name).map(size).transpose()
}

/// A size that was asked for and may be too large.
pub(super) fn size(world: World<'_>, field: &Field, name: &str) -> Result<Option<usize>, Failure> {
    match wanted(field, name)? {
        Some(size) if size > LARGEST => match world.settings.quirks.oversized_page {
            OversizedPage::Capped => Ok(Some(LARGEST)),
            OversizedPage::Refused => Err(format!("{name}은(는) 최대 {LARGEST}까지 가능합니다.")),
        },
        size => Ok(size),
    }
}

/// The size of a page that goes forward.
pub(super) fn first(world: World<'_>, field: &Field) -> Result<usize, Failure> {
    Ok(size(world, field, "first")?.unwrap_or(DEFAULT))
}

/// An opaque text for a place.
pub(super) fn cursor(kind: &str, place: impl std::fmt::Display) -> String {
    STANDARD.encode(format!("{kind}:{place}"))
}

/// What stands in a cursor of a kind.
pub(super) fn opened(cursor: &str, kind: &str) -> Result<String, Failure> {
    let text = STANDARD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let place = text.and_then(|text| {
        let (known, place) = text.split_once(':')?;
        (known == kind).then(|| place.to_owned())
    });
    place.ok_or_else(|| format!("Invalid cursor: {cursor}"))
}

/// The place in a cursor of a kind.
pub(super) fn place(cursor: &str, kind: &str) -> Result<u64, Failure> {
    opened(cursor, kind)?.parse().map_err(|_| format!("Invalid cursor: {cursor}"))
}
