//! A GraphQL document, read and checked against the schema, so that what runs is only what is
//! there. Variables, defaults, aliases, fragments, `@include` and `@skip` are understood.

use std::collections::BTreeMap;

use graphql_parser::Pos;
use graphql_parser::query::{
    Definition, Directive, Document, FragmentDefinition, OperationDefinition, Selection,
    SelectionSet, Type as Declared, TypeCondition, Value as Literal, VariableDefinition,
};
use serde_json::{Map, Value};

use super::schema::{self, Type};

/// What a document asks for.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) is_mutation: bool,
    pub(crate) fields: Vec<Field>,
}

/// A field that is asked for, with all variables put in.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    /// The name that the answer has: the alias where there is one.
    pub(crate) key: String,
    pub(crate) name: String,
    pub(crate) parent: &'static str,
    pub(crate) arguments: Map<String, Value>,
    pub(crate) at: Pos,
    pub(crate) fields: Vec<Field>,
}

impl Field {
    /// An argument that was given and is not null.
    pub(crate) fn argument(&self, name: &str) -> Option<&Value> {
        self.arguments.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.argument(name).and_then(Value::as_str)
    }

    /// A whole number, also where it came as text.
    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        let value = self.argument(name)?;
        value.as_i64().or_else(|| value.as_str()?.parse().ok())
    }
}

/// An error of GraphQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Error {
    pub(crate) message: String,
    pub(crate) at: Option<(usize, usize)>,
    pub(crate) path: Option<String>,
}

impl Error {
    pub(crate) fn new(message: impl Into<String>, at: Pos) -> Self {
        Self { message: message.into(), at: Some((at.line, at.column)), path: None }
    }

    pub(crate) fn nowhere(message: impl Into<String>) -> Self {
        Self { message: message.into(), at: None, path: None }
    }
}

/// Deeper is not read, so that no document ends the process.
const DEEPEST: usize = 40;
/// More fields, fragments put in, are not read.
const MOST_FIELDS: usize = 5_000;

pub(crate) fn read(
    text: &str,
    variables: &Map<String, Value>,
    operation_name: Option<&str>,
) -> Result<Operation, Vec<Error>> {
    if depth(text) > DEEPEST {
        return Err(vec![Error::nowhere(format!("Query exceeds the depth of {DEEPEST}"))]);
    }
    let document: Document<'_, String> = graphql_parser::parse_query(text)
        .map_err(|error| vec![Error::nowhere(format!("Syntax Error: {error}"))])?;
    let (definition, fragments) = choose(&document, operation_name)?;
    let (is_mutation, root, declared, selection) = match definition {
        OperationDefinition::SelectionSet(selection) => (false, &schema::QUERY, &[][..], selection),
        OperationDefinition::Query(query) => {
            (false, &schema::QUERY, &query.variable_definitions[..], &query.selection_set)
        }
        OperationDefinition::Mutation(mutation) => {
            (true, &schema::MUTATION, &mutation.variable_definitions[..], &mutation.selection_set)
        }
        OperationDefinition::Subscription(subscription) => {
            return Err(vec![Error::new("Subscriptions are not served", subscription.position)]);
        }
    };
    let mut reader =
        Reader { fragments, variables: BTreeMap::new(), errors: Vec::new(), fields: 0 };
    declared.iter().for_each(|variable| reader.declare(variable, variables));
    let mut fields = Vec::new();
    reader.select(selection, root, &mut fields, 0);
    if reader.errors.is_empty() {
        Ok(Operation { is_mutation, fields })
    } else {
        Err(reader.errors)
    }
}

type Fragments<'a> = BTreeMap<&'a str, &'a FragmentDefinition<'a, String>>;

fn choose<'a>(
    document: &'a Document<'a, String>,
    name: Option<&str>,
) -> Result<(&'a OperationDefinition<'a, String>, Fragments<'a>), Vec<Error>> {
    let mut fragments = BTreeMap::new();
    let mut operations = Vec::new();
    for definition in &document.definitions {
        match definition {
            Definition::Operation(operation) => operations.push(operation),
            Definition::Fragment(fragment) => {
                fragments.insert(fragment.name.as_str(), fragment);
            }
        }
    }
    let name_of = |operation: &OperationDefinition<'_, String>| match operation {
        OperationDefinition::SelectionSet(_) => None,
        OperationDefinition::Query(query) => query.name.clone(),
        OperationDefinition::Mutation(mutation) => mutation.name.clone(),
        OperationDefinition::Subscription(subscription) => subscription.name.clone(),
    };
    let chosen = match name {
        Some(name) => {
            operations.iter().find(|operation| name_of(operation).as_deref() == Some(name))
        }
        None if operations.len() == 1 => operations.first(),
        None => None,
    };
    let unclear = || vec![Error::nowhere("Must provide operation name of the document")];
    chosen.copied().map(|operation| (operation, fragments)).ok_or_else(unclear)
}

/// Reads the selections of one operation and gathers what is wrong with them.
struct Reader<'a> {
    fragments: Fragments<'a>,
    /// Those that are declared; without a value where none was given.
    variables: BTreeMap<&'a str, Option<Value>>,
    errors: Vec<Error>,
    fields: usize,
}

impl<'a> Reader<'a> {
    fn declare(
        &mut self,
        variable: &'a VariableDefinition<'a, String>,
        given: &Map<String, Value>,
    ) {
        let default = variable.default_value.as_ref();
        let default = default.and_then(|default| self.value(default, variable.position));
        let value = given.get(&variable.name).cloned().or(default);
        let is_missing = value.as_ref().is_none_or(Value::is_null);
        if is_missing && matches!(variable.var_type, Declared::NonNullType(_)) {
            let (name, declared) = (&variable.name, &variable.var_type);
            let message =
                format!("Variable \"${name}\" of required type \"{declared}\" was not provided.");
            self.errors.push(Error::new(message, variable.position));
        }
        self.variables.insert(&variable.name, value);
    }

    fn select(
        &mut self,
        selection: &'a SelectionSet<'a, String>,
        of: &'static Type,
        into: &mut Vec<Field>,
        depth: usize,
    ) {
        self.fields += 1;
        if depth > DEEPEST || self.fields > MOST_FIELDS {
            if self.errors.is_empty() {
                self.errors.push(Error::nowhere("Query is too large"));
            }
            return;
        }
        for item in &selection.items {
            match item {
                Selection::Field(field) if self.is_included(&field.directives) => {
                    self.fields += 1;
                    self.field(field, of, into, depth);
                }
                Selection::InlineFragment(fragment) if self.is_included(&fragment.directives) => {
                    let is_of =
                        |TypeCondition::On(name): &TypeCondition<'_, String>| name == of.name;
                    if fragment.type_condition.as_ref().is_none_or(is_of) {
                        self.select(&fragment.selection_set, of, into, depth + 1);
                    }
                }
                Selection::FragmentSpread(spread) if self.is_included(&spread.directives) => {
                    match self.fragments.get(spread.fragment_name.as_str()) {
                        Some(fragment) => {
                            self.select(&fragment.selection_set, of, into, depth + 1);
                        }
                        None => {
                            let message = format!("Unknown fragment \"{}\".", spread.fragment_name);
                            self.errors.push(Error::new(message, spread.position));
                        }
                    }
                }
                Selection::Field(_)
                | Selection::InlineFragment(_)
                | Selection::FragmentSpread(_) => {}
            }
        }
    }

    fn field(
        &mut self,
        field: &'a graphql_parser::query::Field<'a, String>,
        of: &'static Type,
        into: &mut Vec<Field>,
        depth: usize,
    ) {
        let (at, name) = (field.position, &field.name);
        let Some(known) = of.field(name) else {
            let message = format!("Cannot query field \"{name}\" on type \"{}\".", of.name);
            return self.errors.push(Error::new(message, at));
        };
        let mut arguments = Map::new();
        for (argument, literal) in &field.arguments {
            if !known.arguments.contains(&argument.as_str()) {
                let message =
                    format!("Unknown argument \"{argument}\" on field \"{}.{name}\".", of.name);
                self.errors.push(Error::new(message, at));
            }
            if let Some(value) = self.value(literal, at) {
                arguments.insert(argument.clone(), value);
            }
        }
        let key = field.alias.clone().unwrap_or_else(|| name.clone());
        let mut fields = Vec::new();
        match (known.of, field.selection_set.items.is_empty()) {
            (Some(inner), false) => {
                self.select(&field.selection_set, inner, &mut fields, depth + 1)
            }
            (None, true) => {}
            (Some(inner), true) => {
                let message = format!(
                    "Field \"{name}\" of type \"{}\" must have a selection of subfields.",
                    inner.name
                );
                self.errors.push(Error::new(message, at));
            }
            (None, false) => {
                let message = format!("Field \"{name}\" must not have a selection.");
                self.errors.push(Error::new(message, at));
            }
        }
        match into.iter_mut().find(|before| before.key == key) {
            Some(before) => before.fields.extend(fields),
            None => {
                let (name, parent) = (name.clone(), of.name);
                into.push(Field { key, name, parent, arguments, at, fields });
            }
        }
    }

    fn is_included(&mut self, directives: &'a [Directive<'a, String>]) -> bool {
        directives.iter().all(|directive| {
            let condition = directive.arguments.iter().find(|(name, _)| name == "if");
            let condition = condition.and_then(|(_, value)| self.value(value, directive.position));
            match directive.name.as_str() {
                "include" => condition != Some(Value::Bool(false)),
                "skip" => condition != Some(Value::Bool(true)),
                _ => true,
            }
        })
    }

    /// None where a variable has no value.
    fn value(&mut self, literal: &Literal<'_, String>, at: Pos) -> Option<Value> {
        Some(match literal {
            Literal::Variable(name) => match self.variables.get(name.as_str()) {
                Some(value) => return value.clone(),
                None => {
                    let message = format!("Variable \"${name}\" is not defined.");
                    self.errors.push(Error::new(message, at));
                    return None;
                }
            },
            Literal::Int(number) => number.as_i64().into(),
            Literal::Float(number) => (*number).into(),
            Literal::String(text) | Literal::Enum(text) => text.clone().into(),
            Literal::Boolean(value) => (*value).into(),
            Literal::Null => Value::Null,
            Literal::List(values) => {
                values.iter().filter_map(|value| self.value(value, at)).collect()
            }
            Literal::Object(fields) => {
                let pairs = fields.iter();
                pairs
                    .filter_map(|(name, value)| Some((name.clone(), self.value(value, at)?)))
                    .collect()
            }
        })
    }
}

/// Of brackets that are open at once; those in texts count as well.
fn depth(text: &str) -> usize {
    let mut open: usize = 0;
    let opened = |byte| {
        match byte {
            b'{' | b'[' | b'(' => open += 1,
            b'}' | b']' | b')' => open = open.saturating_sub(1),
            _ => {}
        }
        open
    };
    text.bytes().map(opened).max().unwrap_or(0)
}

#[cfg(test)]
mod tests;
