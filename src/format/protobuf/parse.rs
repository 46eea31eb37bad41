//! `.proto` text to [`File`]: a reader of proto3 (and of the parts of proto2 that look the same).
//!
//! Imports other than the well-known types come along with the schema; options are skipped but for the precision and
//! scale of decimals.

use super::model::{Enum, Field, File, Kind, Label, Message};

/// A piece of the text.
#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Sign(char),
}

/// A message or enum as it stands in the text, names not resolved yet.
struct Draft {
    full_name: String,
    path: Vec<i64>,
    fields: Vec<DraftField>,
}

struct DraftField {
    oneof: Option<String>,
    name: String,
    number: u32,
    ty: String,
    label: DraftLabel,
    options: Vec<(String, String)>,
}

enum DraftLabel {
    Plain,
    Optional,
    Repeated,
    Map(String),
}

/// Reads a schema and the files it imports.
pub(super) fn parse<'a>(text: &'a str, imports: impl IntoIterator<Item = &'a str>) -> Result<File, String> {
    let mut types = Types { messages: Vec::new(), enums: Vec::new() };
    read_file(text, true, &mut types)?;
    for import in imports {
        read_file(import, false, &mut types)?;
    }
    let names: Vec<String> = types.messages.iter().map(|draft| draft.full_name.clone()).collect();
    let mut messages = Vec::with_capacity(types.messages.len());
    for draft in types.messages {
        let scope = draft.full_name.clone();
        let mut fields = Vec::with_capacity(draft.fields.len());
        for field in draft.fields {
            let resolve = |name: &str| {
                resolve(name, &scope, &field.options, &names, &types.enums)
                    .ok_or_else(|| format!("{scope}.{}: unknown type {name}", field.name))
            };
            let label = match &field.label {
                DraftLabel::Plain => Label::Plain,
                DraftLabel::Optional => Label::Optional,
                DraftLabel::Repeated => Label::Repeated,
                DraftLabel::Map(key) => Label::Map(resolve(key)?),
            };
            let kind = resolve(&field.ty)?;
            fields.push(Field { name: field.name, number: field.number, kind, label, oneof: field.oneof });
        }
        messages.push(Message { full_name: draft.full_name, path: draft.path, fields });
    }
    let mut file = File { messages, enums: types.enums };
    fold_map_entries(&mut file);
    Ok(file)
}

/// `repeated FooEntry foo` of messages that are declared as map entries is a map.
fn fold_map_entries(file: &mut File) {
    let entries: Vec<Option<(Kind, Kind)>> = file
        .messages
        .iter()
        .map(|message| match message.fields.as_slice() {
            [key, value]
                if key.name == "key"
                    && value.name == "value"
                    && (key.number, value.number) == (1, 2)
                    && message.full_name.ends_with("Entry")
                    && value.label != Label::Repeated =>
            {
                Some((key.kind.clone(), value.kind.clone()))
            }
            _ => None,
        })
        .collect();
    for field in file.messages.iter_mut().flat_map(|message| &mut message.fields) {
        if let (Label::Repeated, Kind::Message(at)) = (&field.label, &field.kind)
            && let Some((key, value)) = &entries[*at]
        {
            field.label = Label::Map(key.clone());
            field.kind = value.clone();
        }
    }
}

struct Types {
    messages: Vec<Draft>,
    enums: Vec<Enum>,
}

fn resolve(name: &str, scope: &str, options: &[(String, String)], messages: &[String], enums: &[Enum]) -> Option<Kind> {
    if let Some(kind) = Kind::scalar(name) {
        return Some(kind);
    }
    let absolute = name.strip_prefix('.');
    let mut scopes: Vec<&str> = vec![""];
    if absolute.is_none() {
        scopes.extend(scope.match_indices('.').map(|(at, _)| &scope[..at]));
        scopes.push(scope);
    }
    let name = absolute.unwrap_or(name);
    for scope in scopes.into_iter().rev() {
        let full = if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") };
        if let Some(kind) = Kind::well_known(&full) {
            let option = |key: &str| options.iter().find(|(k, _)| k == key).and_then(|(_, v)| v.parse().ok());
            return Some(match kind {
                Kind::Decimal(precision, scale) => {
                    Kind::Decimal(option("precision").unwrap_or(precision), option("scale").unwrap_or(scale))
                }
                other => other,
            });
        }
        if let Some(at) = messages.iter().position(|message| *message == full) {
            return Some(Kind::Message(at));
        }
        if let Some(at) = enums.iter().position(|ty| ty.full_name == full) {
            return Some(Kind::Enum(at));
        }
    }
    None
}

fn read_file(text: &str, own: bool, types: &mut Types) -> Result<(), String> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0 };
    let mut package = String::new();
    let mut place = 0;
    while let Some(token) = parser.next() {
        match token {
            Token::Word(word) => match word.as_str() {
                "syntax" | "edition" | "import" | "option" => parser.skip_statement(),
                "package" => {
                    package = parser.word()?;
                    parser.sign(';')?;
                }
                "message" => {
                    let path = if own { vec![place] } else { Vec::new() };
                    parser.message(&package, path, types)?;
                    place += 1;
                }
                "enum" => parser.enumeration(&package, types)?,
                "service" | "extend" => {
                    parser.skip_to_block();
                    parser.skip_block();
                }
                other => return Err(format!("`{other}` is not expected outside a message")),
            },
            Token::Sign(';') => {}
            other => return Err(format!("{other:?} is not expected outside a message")),
        }
    }
    Ok(())
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn word(&mut self) -> Result<String, String> {
        match self.next() {
            Some(Token::Word(word)) => Ok(word),
            other => Err(format!("a name is expected, not {other:?}")),
        }
    }

    fn sign(&mut self, sign: char) -> Result<(), String> {
        match self.next() {
            Some(Token::Sign(found)) if found == sign => Ok(()),
            other => Err(format!("`{sign}` is expected, not {other:?}")),
        }
    }

    fn takes(&mut self, sign: char) -> bool {
        let there = self.peek() == Some(&Token::Sign(sign));
        self.at += usize::from(there);
        there
    }

    fn skip_statement(&mut self) {
        let mut depth = 0;
        while let Some(token) = self.next() {
            match token {
                Token::Sign('{') => depth += 1,
                Token::Sign('}') => depth -= 1,
                Token::Sign(';') if depth == 0 => return,
                _ => {}
            }
        }
    }

    fn skip_to_block(&mut self) {
        while self.next().is_some_and(|token| token != Token::Sign('{')) {}
    }

    fn skip_block(&mut self) {
        let mut depth = 1;
        while depth > 0 {
            match self.next() {
                Some(Token::Sign('{')) => depth += 1,
                Some(Token::Sign('}')) => depth -= 1,
                Some(_) => {}
                None => return,
            }
        }
    }

    fn message(&mut self, scope: &str, path: Vec<i64>, types: &mut Types) -> Result<(), String> {
        let full_name = join(scope, &self.word()?);
        self.sign('{')?;
        let at = types.messages.len();
        types.messages.push(Draft { full_name: full_name.clone(), path: path.clone(), fields: Vec::new() });
        let mut place = 0;
        let mut fields = Vec::new();
        let (mut oneof, mut oneofs): (Option<String>, usize) = (None, 0);
        loop {
            match self.next() {
                Some(Token::Sign('}')) if oneof.is_some() => oneof = None,
                Some(Token::Sign('}')) => break,
                Some(Token::Sign(';')) => {}
                Some(Token::Word(word)) => match word.as_str() {
                    "option" | "reserved" | "extensions" => self.skip_statement(),
                    "message" => {
                        let mut path = path.clone();
                        if !path.is_empty() {
                            path.push(place);
                        }
                        place += 1;
                        self.message(&full_name, path, types)?;
                    }
                    "enum" => self.enumeration(&full_name, types)?,
                    "extend" => {
                        self.skip_to_block();
                        self.skip_block();
                    }
                    "oneof" if !matches!(self.tokens.get(self.at + 1), Some(Token::Sign('='))) => {
                        oneof = Some(format!("{}_{oneofs}", self.word()?));
                        oneofs += 1;
                        self.sign('{')?;
                    }
                    _ => {
                        let mut field = self.field(word)?;
                        if oneof.is_some() {
                            field.label = DraftLabel::Optional;
                            field.oneof.clone_from(&oneof);
                        }
                        fields.push(field);
                    }
                },
                other => return Err(format!("{full_name}: a field is expected, not {other:?}")),
            }
        }
        types.messages[at].fields = fields;
        Ok(())
    }

    fn field(&mut self, first: String) -> Result<DraftField, String> {
        let mut ty = first;
        let mut label = DraftLabel::Plain;
        // A label is followed by a type and a name, a type of the same name by a name and `=`.
        let followed_by_two = matches!(
            (self.peek(), self.tokens.get(self.at + 1)),
            (Some(Token::Word(_)), Some(Token::Word(_) | Token::Sign('<')))
        );
        if followed_by_two && matches!(ty.as_str(), "optional" | "required" | "repeated") {
            label = match ty.as_str() {
                "optional" => DraftLabel::Optional,
                "repeated" => DraftLabel::Repeated,
                _ => DraftLabel::Plain,
            };
            ty = self.word()?;
        }
        if ty == "map" && self.takes('<') {
            let key = self.word()?;
            self.sign(',')?;
            ty = self.word()?;
            self.sign('>')?;
            label = DraftLabel::Map(key);
        }
        let name = self.word()?;
        self.sign('=')?;
        let number = self.word()?;
        let number = number.parse().map_err(|_| format!("{name}: {number} is no field number"))?;
        let options = if self.takes('[') { self.options() } else { Vec::new() };
        self.sign(';')?;
        Ok(DraftField { name, number, ty, label, options, oneof: None })
    }

    /// Parameters among a field's options: `{ key: "precision", value: "4" }` in either order.
    fn options(&mut self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let (mut depth, mut key, mut value) = (1, None, None);
        while depth > 0 {
            let Some(token) = self.next() else { break };
            match token {
                Token::Sign('[') => depth += 1,
                Token::Sign(']') => depth -= 1,
                Token::Word(word) if word == "key" || word == "value" => {
                    if self.takes(':')
                        && let Some(Token::Text(text)) = self.next()
                    {
                        *if word == "key" { &mut key } else { &mut value } = Some(text);
                    }
                }
                _ => {}
            }
            if key.is_some() && value.is_some() {
                found.extend(key.take().zip(value.take()));
            }
        }
        found
    }

    fn enumeration(&mut self, scope: &str, types: &mut Types) -> Result<(), String> {
        let full_name = join(scope, &self.word()?);
        self.sign('{')?;
        let mut values = Vec::new();
        loop {
            match self.next() {
                Some(Token::Sign('}')) => break,
                Some(Token::Sign(';')) => {}
                Some(Token::Word(word)) if word == "option" || word == "reserved" => self.skip_statement(),
                Some(Token::Word(name)) => {
                    self.sign('=')?;
                    let negative = self.takes('-');
                    let number: i32 = self.word()?.parse().map_err(|_| format!("{full_name}.{name} has no number"))?;
                    if self.takes('[') {
                        self.options();
                    }
                    self.sign(';')?;
                    values.push((name, if negative { -number } else { number }));
                }
                other => return Err(format!("{full_name}: a value is expected, not {other:?}")),
            }
        }
        types.enums.push(Enum { full_name, values });
        Ok(())
    }
}

fn join(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if first.is_whitespace() {
            rest = &rest[first.len_utf8()..];
        } else if rest.starts_with("//") {
            rest = rest.find('\n').map_or("", |at| &rest[at..]);
        } else if rest.starts_with("/*") {
            rest = rest.find("*/").map_or("", |at| &rest[at + 2..]);
        } else if first == '"' || first == '\'' {
            let mut text = String::new();
            let mut chars = rest[1..].char_indices();
            let end = loop {
                match chars.next() {
                    Some((at, c)) if c == first => break at + 2,
                    Some((_, '\\')) => text.extend(chars.next().map(|(_, c)| c)),
                    Some((_, c)) => text.push(c),
                    None => return Err("a string does not end".to_owned()),
                }
            };
            tokens.push(Token::Text(text));
            rest = &rest[end..];
        } else if first.is_alphanumeric() || first == '_' || first == '.' {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')).unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        } else {
            tokens.push(Token::Sign(first));
            rest = &rest[first.len_utf8()..];
        }
    }
    Ok(tokens)
}
