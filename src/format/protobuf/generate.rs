//! The schema that a message of given columns gets, as model and as text.
//!
//! > KSQL: messages are named `ConnectDefault1`, `ConnectDefault2`, … in the order met, fields are numbered in column
//! > order from 1.

use std::fmt::Write as _;

use super::model::{Field, File, Kind, Label, Message};
use crate::format::datum::legal;
use crate::types::{Column, SqlType};

/// How scalars say that they are NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::format) enum Nullable {
    /// They cannot: NULL is written as the default.
    #[default]
    Never,
    /// As `optional` fields.
    Optional,
    /// Wrapped in a message.
    Wrapper,
}

impl Nullable {
    /// From the format's setting.
    pub(in crate::format) fn of(setting: Option<&str>) -> Self {
        match setting {
            Some("OPTIONAL") => Self::Optional,
            Some("WRAPPER") => Self::Wrapper,
            _ => Self::Never,
        }
    }
}

/// The model of a message with these columns.
pub(super) fn model(columns: &[Column], name: Option<&str>, nullable: Nullable) -> Result<File, String> {
    let mut builder = Generator { file: File::default(), nullable, named: 0 };
    let fields: Vec<(&str, &SqlType)> = columns.iter().map(|column| (column.name.as_str(), &column.ty)).collect();
    let root = name.map(str::to_owned).unwrap_or_else(|| builder.next_name());
    builder.named = 1;
    builder.message(root, vec![0], &fields)?;
    Ok(builder.file)
}

struct Generator {
    file: File,
    nullable: Nullable,
    named: usize,
}

impl Generator {
    fn next_name(&mut self) -> String {
        self.named += 1;
        format!("ConnectDefault{}", self.named)
    }

    fn message(&mut self, full_name: String, path: Vec<i64>, columns: &[(&str, &SqlType)]) -> Result<usize, String> {
        let at = self.file.messages.len();
        self.file.messages.push(Message { full_name: full_name.clone(), path: path.clone(), fields: Vec::new() });
        let mut fields = Vec::with_capacity(columns.len());
        let mut nested = 0;
        for (i, (name, ty)) in columns.iter().enumerate() {
            let (label, ty) = match ty {
                SqlType::Array(item) => (Label::Repeated, &**item),
                SqlType::Map(key, value) => {
                    if **key != SqlType::String {
                        return Err(format!("PROTOBUF maps have STRING keys, but `{name}` has a MAP with {key} keys"));
                    }
                    (Label::Map(Kind::String), &**value)
                }
                other => (Label::Plain, *other),
            };
            let mut kind = match ty {
                SqlType::Struct(fields) => {
                    let inner: Vec<(&str, &SqlType)> = fields.iter().map(|f| (f.name.as_str(), &f.ty)).collect();
                    let inner_name = format!("{full_name}.{}", self.next_name());
                    let mut inner_path = path.clone();
                    inner_path.push(nested);
                    nested += 1;
                    Kind::Message(self.message(inner_name, inner_path, &inner)?)
                }
                SqlType::Array(_) | SqlType::Map(..) => {
                    return Err(format!("PROTOBUF has no {} within an array or map, as in `{name}`", ty.base_name()));
                }
                scalar => scalar_kind(scalar),
            };
            let label = match (self.nullable, label) {
                (Nullable::Optional, Label::Plain) if kind.is_scalar() => Label::Optional,
                (Nullable::Wrapper, Label::Plain) if kind.is_scalar() => {
                    kind = Kind::Wrapper(Box::new(kind));
                    Label::Plain
                }
                (_, label) => label,
            };
            fields.push(Field { name: legal(name), number: i as u32 + 1, kind, label, oneof: None });
        }
        self.file.messages[at].fields = fields;
        Ok(at)
    }
}

fn scalar_kind(ty: &SqlType) -> Kind {
    match ty {
        SqlType::Boolean => Kind::Bool,
        SqlType::Int => Kind::Int32,
        SqlType::BigInt => Kind::Int64,
        SqlType::Double => Kind::Double,
        SqlType::Decimal(precision, scale) => Kind::Decimal(*precision, *scale),
        SqlType::Time => Kind::TimeOfDay,
        SqlType::Date => Kind::Date,
        SqlType::Timestamp => Kind::Timestamp,
        SqlType::Bytes => Kind::Bytes,
        SqlType::String | SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_) => Kind::String,
    }
}

/// The `.proto` text of a model that [`model`] made.
pub(super) fn text(file: &File) -> String {
    let mut imports: Vec<&str> = Vec::new();
    for field in file.messages.iter().flat_map(|message| &message.fields) {
        let import = match &field.kind {
            Kind::Decimal(..) => "confluent/type/decimal.proto",
            Kind::Date => "google/type/date.proto",
            Kind::TimeOfDay => "google/type/timeofday.proto",
            Kind::Timestamp => "google/protobuf/timestamp.proto",
            Kind::Wrapper(_) => "google/protobuf/wrappers.proto",
            _ => continue,
        };
        imports.push(import);
        if matches!(field.kind, Kind::Decimal(..)) {
            imports.push("confluent/meta.proto");
        }
    }
    imports.sort_unstable();
    imports.dedup();
    let mut out = String::from("syntax = \"proto3\";\n");
    let mut packaged = None;
    if let Some(root) = file.messages.first()
        && let Some((package, _)) = root.full_name.rsplit_once('.')
    {
        let _ = writeln!(out, "package {package};");
        packaged = Some(package.len() + 1);
    }
    for (i, import) in imports.iter().enumerate() {
        let _ = writeln!(out, "{}import \"{import}\";", if i == 0 { "\n" } else { "" });
    }
    if !file.messages.is_empty() {
        out.push('\n');
        message_text(file, 0, packaged.unwrap_or(0), 0, &mut out);
    }
    out
}

fn message_text(file: &File, at: usize, name_from: usize, indent: usize, out: &mut String) {
    let message = &file.messages[at];
    let pad = "  ".repeat(indent);
    let name = &message.full_name[name_from..];
    let _ = writeln!(out, "{pad}message {} {{", name.rsplit('.').next().unwrap_or(name));
    for field in &message.fields {
        let (ty, options) = kind_text(file, &field.kind);
        let ty = match &field.label {
            Label::Plain => ty,
            Label::Optional => format!("optional {ty}"),
            Label::Repeated => format!("repeated {ty}"),
            Label::Map(key) => format!("map<{}, {ty}>", kind_text(file, key).0),
        };
        let _ = writeln!(out, "{pad}  {ty} {} = {}{options};", field.name, field.number);
    }
    for (inner, candidate) in file.messages.iter().enumerate() {
        if candidate.path.len() == message.path.len() + 1 && candidate.path.starts_with(&message.path) {
            out.push('\n');
            message_text(file, inner, name_from, indent + 1, out);
        }
    }
    let _ = writeln!(out, "{pad}}}");
}

fn kind_text(file: &File, kind: &Kind) -> (String, String) {
    let name = match kind {
        Kind::Double => "double",
        Kind::Float => "float",
        Kind::Int32 => "int32",
        Kind::Int64 => "int64",
        Kind::UInt32 => "uint32",
        Kind::UInt64 => "uint64",
        Kind::SInt32 => "sint32",
        Kind::SInt64 => "sint64",
        Kind::Fixed32 => "fixed32",
        Kind::Fixed64 => "fixed64",
        Kind::SFixed32 => "sfixed32",
        Kind::SFixed64 => "sfixed64",
        Kind::Bool => "bool",
        Kind::String => "string",
        Kind::Bytes => "bytes",
        Kind::Decimal(precision, scale) => {
            let options = format!(
                " [(confluent.field_meta) = {{ params: [ {{ key: \"precision\", value: \"{precision}\" }}, \
                 {{ key: \"scale\", value: \"{scale}\" }} ] }}]"
            );
            return ("confluent.type.Decimal".to_owned(), options);
        }
        Kind::Date => "google.type.Date",
        Kind::TimeOfDay => "google.type.TimeOfDay",
        Kind::Timestamp => "google.protobuf.Timestamp",
        Kind::Wrapper(inner) => match **inner {
            Kind::Double => "google.protobuf.DoubleValue",
            Kind::Int64 => "google.protobuf.Int64Value",
            Kind::Int32 => "google.protobuf.Int32Value",
            Kind::Bool => "google.protobuf.BoolValue",
            Kind::Bytes => "google.protobuf.BytesValue",
            _ => "google.protobuf.StringValue",
        },
        Kind::Message(at) => {
            let full = &file.messages[*at].full_name;
            return (full.rsplit('.').next().unwrap_or(full).to_owned(), String::new());
        }
        Kind::Enum(at) => return (file.enums[*at].full_name.clone(), String::new()),
    };
    (name.to_owned(), String::new())
}
