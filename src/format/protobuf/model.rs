//! [`File`]: messages of a `.proto` file and of what it imports, with all names resolved.

use crate::types::{SqlType, StructField};

/// The kind of a field's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Double,
    Float,
    Int32,
    Int64,
    UInt32,
    UInt64,
    SInt32,
    SInt64,
    Fixed32,
    Fixed64,
    SFixed32,
    SFixed64,
    Bool,
    String,
    Bytes,
    /// `confluent.type.Decimal` with precision and scale.
    Decimal(u8, u8),
    /// `google.type.Date`
    Date,
    /// `google.type.TimeOfDay`
    TimeOfDay,
    /// `google.protobuf.Timestamp`
    Timestamp,
    /// `google.protobuf.Int32Value` and its like: a message around one value.
    Wrapper(Box<Kind>),
    /// Index into [`File::messages`].
    Message(usize),
    /// Index into [`File::enums`].
    Enum(usize),
}

/// How often a field occurs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Label {
    /// Once; left out when it has the default.
    Plain,
    /// Once; left out when it has no value.
    Optional,
    /// Any number of times.
    Repeated,
    /// Entries with keys of that kind.
    Map(Kind),
}

/// A field of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) number: u32,
    pub(super) kind: Kind,
    pub(super) label: Label,
    /// The column of the `oneof` that it belongs to.
    pub(super) oneof: Option<String>,
}

/// A message type.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Message {
    /// With package and outer messages.
    pub(super) full_name: String,
    /// Where it stands in the file: its place among the messages of each level. Empty for imported ones.
    pub(super) path: Vec<i64>,
    pub(super) fields: Vec<Field>,
}

/// An enum type: names by number.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Enum {
    pub(super) full_name: String,
    pub(super) values: Vec<(String, i32)>,
}

/// All types that a schema knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct File {
    pub(super) messages: Vec<Message>,
    pub(super) enums: Vec<Enum>,
}

impl File {
    /// The message of that full or simple name, else the file's first one.
    pub(super) fn root(&self, name: Option<&str>) -> Option<usize> {
        let own = |message: &&Message| !message.path.is_empty();
        let Some(name) = name else {
            return self.messages.iter().position(|message| message.path == [0]);
        };
        let simple = |message: &Message| message.full_name.rsplit('.').next() == Some(name);
        let full = self.messages.iter().position(|message| message.full_name == name);
        full.or_else(|| self.messages.iter().position(|message| own(&message) && simple(message)))
    }

    /// The message at that place of the file.
    pub(super) fn at_path(&self, path: &[i64]) -> Option<usize> {
        self.messages.iter().position(|message| message.path == path)
    }

    /// The SQL type of a message's fields.
    pub(super) fn fields_type(&self, message: usize, depth: usize) -> Result<Vec<StructField>, String> {
        let message = self.messages.get(message).ok_or("no such message")?;
        if depth > 32 {
            return Err(format!("the message {} contains itself", message.full_name));
        }
        // > KSQL: a `oneof` is a STRUCT of its members, in front of the other fields.
        let mut columns: Vec<StructField> = Vec::new();
        for field in &message.fields {
            let Some(oneof) = &field.oneof else { continue };
            let member = StructField::new(&field.name, self.field_type(field, depth)?);
            match columns.iter_mut().find(|column| column.name == *oneof) {
                Some(StructField { ty: SqlType::Struct(members), .. }) => members.push(member),
                _ => columns.push(StructField::new(oneof, SqlType::Struct(vec![member]))),
            }
        }
        for field in message.fields.iter().filter(|field| field.oneof.is_none()) {
            columns.push(StructField::new(&field.name, self.field_type(field, depth)?));
        }
        Ok(columns)
    }

    fn field_type(&self, field: &Field, depth: usize) -> Result<SqlType, String> {
        let ty = self.kind_type(&field.kind, depth)?;
        Ok(match &field.label {
            Label::Plain | Label::Optional => ty,
            Label::Repeated => SqlType::array(ty),
            Label::Map(key) => SqlType::map(self.kind_type(key, depth)?, ty),
        })
    }

    /// > KSQL: unsigned 32-bit numbers are BIGINT, because half of them are too large for INT.
    fn kind_type(&self, kind: &Kind, depth: usize) -> Result<SqlType, String> {
        Ok(match kind {
            Kind::Double | Kind::Float => SqlType::Double,
            Kind::Int32 | Kind::SInt32 | Kind::SFixed32 => SqlType::Int,
            Kind::Int64
            | Kind::UInt32
            | Kind::UInt64
            | Kind::SInt64
            | Kind::Fixed32
            | Kind::Fixed64
            | Kind::SFixed64 => SqlType::BigInt,
            Kind::Bool => SqlType::Boolean,
            Kind::String | Kind::Enum(_) => SqlType::String,
            Kind::Bytes => SqlType::Bytes,
            Kind::Decimal(precision, scale) => SqlType::Decimal(*precision, *scale),
            Kind::Date => SqlType::Date,
            Kind::TimeOfDay => SqlType::Time,
            Kind::Timestamp => SqlType::Timestamp,
            Kind::Wrapper(inner) => self.kind_type(inner, depth)?,
            Kind::Message(message) => SqlType::Struct(self.fields_type(*message, depth + 1)?),
        })
    }
}

impl Kind {
    /// Whether its values stand in a message as varint, fixed or bytes rather than as a message.
    pub(super) fn is_scalar(&self) -> bool {
        !matches!(
            self,
            Self::Decimal(..) | Self::Date | Self::TimeOfDay | Self::Timestamp | Self::Wrapper(_) | Self::Message(_)
        )
    }

    /// The kind of a well-known message.
    pub(super) fn well_known(full_name: &str) -> Option<Self> {
        let wrapper = |kind| Some(Self::Wrapper(Box::new(kind)));
        match full_name {
            "confluent.type.Decimal" => Some(Self::Decimal(64, 0)),
            "google.type.Date" => Some(Self::Date),
            "google.type.TimeOfDay" => Some(Self::TimeOfDay),
            "google.protobuf.Timestamp" => Some(Self::Timestamp),
            "google.protobuf.DoubleValue" => wrapper(Self::Double),
            "google.protobuf.FloatValue" => wrapper(Self::Float),
            "google.protobuf.Int64Value" => wrapper(Self::Int64),
            "google.protobuf.UInt64Value" => wrapper(Self::UInt64),
            "google.protobuf.Int32Value" => wrapper(Self::Int32),
            "google.protobuf.UInt32Value" => wrapper(Self::UInt32),
            "google.protobuf.BoolValue" => wrapper(Self::Bool),
            "google.protobuf.StringValue" => wrapper(Self::String),
            "google.protobuf.BytesValue" => wrapper(Self::Bytes),
            _ => None,
        }
    }

    /// The kind of a scalar's name.
    pub(super) fn scalar(name: &str) -> Option<Self> {
        Some(match name {
            "double" => Self::Double,
            "float" => Self::Float,
            "int32" => Self::Int32,
            "int64" => Self::Int64,
            "uint32" => Self::UInt32,
            "uint64" => Self::UInt64,
            "sint32" => Self::SInt32,
            "sint64" => Self::SInt64,
            "fixed32" => Self::Fixed32,
            "fixed64" => Self::Fixed64,
            "sfixed32" => Self::SFixed32,
            "sfixed64" => Self::SFixed64,
            "bool" => Self::Bool,
            "string" => Self::String,
            "bytes" => Self::Bytes,
            _ => return None,
        })
    }
}
