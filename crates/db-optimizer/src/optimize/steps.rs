//! What has to be done so that the database is as the catalogue wants it: computed, not yet done.

use super::catalogue::{Catalogue, Index, Level, Owner, qualified, quoted};
use super::failure::Failure;
use super::inventory::{Inventory, There};
use super::record::Record;

/// One change.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// A build that failed or was killed left this.
    DropInvalid(There),
    /// It is not there.
    Build(Index),
    /// A run died between building it and finding out whether it helps: it is built again, and found out.
    BuildAgain(Index),
    /// Something else has its name.
    Replace { index: Index, there: There },
    /// A run died before it could give it its name.
    Rename { index: Index, there: There },
    /// A run died before it could drop what was replaced.
    DropSpare { index: Index, there: There },
    /// Partitions lack their part of it.
    Complete(Index),
}

/// What is to be done, what cannot be, and what is worth knowing.
#[derive(Debug, Default)]
pub(super) struct Steps {
    pub(super) steps: Vec<Step>,
    pub(super) failures: Vec<Failure>,
    pub(super) notes: Vec<String>,
}

/// The name under which the replacement of an index is built.
pub(super) fn spare_name(name: &str) -> String {
    const SUFFIX: &str = "_new";
    // PostgreSQL cuts names at 63 bytes.
    let mut end = name.len().min(63 - SUFFIX.len());
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{SUFFIX}", &name[..end])
}

impl Step {
    /// The SQL that does it, for `--dry-run`.
    pub(super) fn sql(&self) -> Vec<String> {
        let drop = |schema: &str, name: &str| {
            format!("DROP INDEX CONCURRENTLY IF EXISTS {}", qualified(schema, name))
        };
        let rename = |schema: &str, from: &str, to: &str| {
            format!("ALTER INDEX {} RENAME TO {}", qualified(schema, from), quoted(to))
        };
        match self {
            Self::DropInvalid(there) => vec![drop(&there.schema, &there.name)],
            Self::DropSpare { there, .. } => vec![drop(&there.schema, &there.name)],
            Self::Build(index) => vec![index.create(index.name)],
            Self::BuildAgain(index) => {
                vec![drop(index.schema, index.name), index.create(index.name)]
            }
            Self::Replace { index, .. } => {
                let spare = spare_name(index.name);
                vec![
                    index.create(&spare),
                    drop(index.schema, index.name),
                    rename(index.schema, &spare, index.name),
                ]
            }
            Self::Rename { index, there } => vec![rename(&there.schema, &there.name, index.name)],
            Self::Complete(index) => vec![
                index.create(index.name).replace("INDEX CONCURRENTLY", "INDEX")
                    + " -- on each partition by itself, concurrently",
            ],
        }
    }

    /// What it does, in words.
    pub(super) fn doing(&self) -> String {
        match self {
            Self::DropInvalid(there) => format!("drop the invalid {}", there.name),
            Self::Build(index) => format!("build {}", index.name),
            Self::BuildAgain(index) => format!("build {} again", index.name),
            Self::Replace { index, .. } => format!("replace {}", index.name),
            Self::Rename { index, there } => format!("rename {} to {}", there.name, index.name),
            Self::DropSpare { there, .. } => format!("drop the spare {}", there.name),
            Self::Complete(index) => format!("build the partitions of {}", index.name),
        }
    }
}

/// Compares. `record` knows what earlier runs rejected and what a killed run left unproven.
pub(super) fn steps(
    catalogue: &Catalogue,
    level: Level,
    inventory: &Inventory,
    record: &Record,
) -> Steps {
    let mut found = Steps::default();
    for index in &catalogue.indexes {
        // What lesser levels do not want is left as it is, but for what a killed run left unproven.
        if level.wants(index.level) {
            of_index(index, inventory, record, &mut found);
        } else if record.is_unproven(index)
            && index.owner == Owner::Catalogue
            && inventory.index(index.schema, index.name).is_some()
        {
            found.steps.push(Step::BuildAgain(index.clone()));
        }
    }
    for there in inventory.indexes.iter().filter(|there| is_leftover(there)) {
        let key = (there.schema.as_str(), there.name.as_str());
        let is_stepped_on = found.steps.iter().any(|step| step.drops(key));
        if !is_stepped_on {
            // First: a leftover may have a name that is needed.
            found.steps.insert(0, Step::DropInvalid(there.clone()));
        }
    }
    found.notes.extend(notes(catalogue, inventory));
    found
}

impl Step {
    /// What the catalogue wants of it.
    pub(super) fn wanted(&self) -> Option<&Index> {
        match self {
            Self::Build(index)
            | Self::BuildAgain(index)
            | Self::Complete(index)
            | Self::Replace { index, .. }
            | Self::Rename { index, .. }
            | Self::DropSpare { index, .. } => Some(index),
            Self::DropInvalid(_) => None,
        }
    }

    /// The table that it is about.
    pub(super) fn table(&self) -> (&str, &str) {
        match self {
            Self::DropInvalid(there) => (&there.schema, &there.table),
            Self::Build(index)
            | Self::BuildAgain(index)
            | Self::Complete(index)
            | Self::Replace { index, .. }
            | Self::Rename { index, .. }
            | Self::DropSpare { index, .. } => (index.schema, index.table),
        }
    }

    /// Whether it changes what queries read, which has to be measured before.
    pub(super) fn is_judged(&self) -> bool {
        match self {
            Self::Build(_) | Self::BuildAgain(_) | Self::Complete(_) | Self::Replace { .. } => true,
            Self::DropInvalid(_) | Self::Rename { .. } | Self::DropSpare { .. } => false,
        }
    }

    fn drops(&self, (schema, name): (&str, &str)) -> bool {
        match self {
            Self::DropInvalid(there) | Self::DropSpare { there, .. } => {
                there.schema == schema && there.name == name
            }
            Self::BuildAgain(index) => index.schema == schema && index.name == name,
            Self::Build(_) | Self::Replace { .. } | Self::Rename { .. } | Self::Complete(_) => {
                false
            }
        }
    }
}

/// Invalid, nobody is at work on it, and no constraint hangs on it. A partitioned index is invalid while partitions lack
/// theirs.
fn is_leftover(there: &There) -> bool {
    !there.is_valid
        && !there.is_being_built
        && !there.is_constraint
        && !there.is_partitioned
        && !there.is_attached
}

fn of_index(index: &Index, inventory: &Inventory, record: &Record, found: &mut Steps) {
    let Some(table) = inventory.table(index.schema, index.table) else {
        found.failures.push(Failure::NoTable(qualified(index.schema, index.table)));
        return;
    };
    let there = inventory.index(index.schema, index.name);
    let spare = inventory
        .index(index.schema, &spare_name(index.name))
        .filter(|spare| spare.is_valid && spare.definition == index.definition)
        .filter(|spare| spare.table == index.table);
    if let Some(there) = there {
        if there.table != index.table {
            found.failures.push(taken(index, format!("an index of {}", there.table)));
        } else if there.is_partitioned && !there.is_valid && there.definition == index.definition {
            found.steps.push(Step::Complete(index.clone()));
        } else if !there.is_valid {
            if there.is_being_built {
                found.failures.push(Failure::Locked {
                    doing: format!("build {}", index.name),
                    holder: "somebody else is building on its table".to_owned(),
                    left: "it is theirs for now".to_owned(),
                });
            } else if let Some(spare) = spare {
                // The leftover itself is dropped as one.
                found.steps.push(Step::Rename { index: index.clone(), there: spare.clone() });
            } else if !record.rejects(index, table.rows) {
                // The leftover itself is dropped as one.
                found.steps.push(Step::Build(index.clone()));
            }
        } else if there.definition != index.definition {
            if there.is_constraint || there.is_unique || there.is_partitioned {
                let what = format!("a key of {} ({})", there.table, there.definition);
                found.failures.push(taken(index, what));
            } else if let Some(because) = record.rejection(index, table.rows) {
                found.notes.push(format!("{} was rejected before: {because}", index.name));
            } else {
                found.steps.push(Step::Replace { index: index.clone(), there: there.clone() });
            }
        } else if let Some(spare) = spare {
            let (index, there) = (index.clone(), spare.clone());
            found.steps.push(Step::DropSpare { index, there });
        } else if record.is_unproven(index) && index.owner == Owner::Catalogue {
            found.steps.push(Step::BuildAgain(index.clone()));
        }
        return;
    }
    if let Some(what) = inventory.taken.get(&(index.schema.to_owned(), index.name.to_owned())) {
        found.failures.push(taken(index, what.clone()));
        return;
    }
    if let Some(spare) = spare {
        found.steps.push(Step::Rename { index: index.clone(), there: spare.clone() });
        return;
    }
    if let Some(same) = same_as(index, inventory) {
        let note = format!("{} is there under the name {}", index.name, same.name);
        found.notes.push(note);
        return;
    }
    if let Some(because) = record.rejection(index, table.rows) {
        found.notes.push(format!("{} was rejected before: {because}", index.name));
        return;
    }
    if index.owner == Owner::Catalogue && table.rows < 1.0 {
        let note = format!("{} is put off: {} has no rows to judge it by", index.name, index.table);
        found.notes.push(note);
        return;
    }
    found.steps.push(if table.is_partitioned {
        Step::Complete(index.clone())
    } else {
        Step::Build(index.clone())
    });
}

fn taken(index: &Index, what: String) -> Failure {
    Failure::NameTaken { name: index.name.to_owned(), what }
}

/// A good index on the same, under another name.
fn same_as<'a>(index: &Index, inventory: &'a Inventory) -> Option<&'a There> {
    inventory.indexes.iter().find(|there| {
        there.is_valid
            && !there.is_constraint
            && there.schema == index.schema
            && there.table == index.table
            && there.definition == index.definition
    })
}

/// What is nobody's business but the operator's: duplicates, and what no query used.
fn notes(catalogue: &Catalogue, inventory: &Inventory) -> Vec<String> {
    let is_ours = |there: &There| {
        catalogue
            .indexes
            .iter()
            .any(|index| index.schema == there.schema && index.name == there.name)
    };
    let mut notes = Vec::new();
    for there in &inventory.indexes {
        if is_ours(there) || there.is_attached || !there.is_valid {
            continue;
        }
        let twin = inventory.indexes.iter().find(|other| {
            other.name != there.name
                && (&other.schema, &other.table) == (&there.schema, &there.table)
                && other.definition == there.definition
                && other.is_valid
                && (is_ours(other) || other.is_constraint || other.name < there.name)
        });
        let drop = format!("DROP INDEX CONCURRENTLY {}", qualified(&there.schema, &there.name));
        if let (Some(twin), false) = (twin, there.is_constraint || there.is_unique) {
            notes.push(format!("{} is the same as {}: `{drop}`", there.name, twin.name));
        } else if there.scans == 0 && !there.is_unique && !there.is_constraint {
            notes.push(format!(
                "no query has used {} ({} kB) since the statistics were reset: `{drop}` once you are sure",
                there.name,
                there.bytes / 1024
            ));
        }
    }
    notes
}
