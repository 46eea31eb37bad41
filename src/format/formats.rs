//! [`Formats`]: the formats together with the registry that some of them need.
//!
//! **Invariant:** a topic's schemas stand under `<topic>-key` and `<topic>-value`; format specifications name at most a
//! schema's number, so topologies stay plain data.

use std::collections::HashMap;
use std::sync::Arc;

use super::avro::AvroCodec;
use super::datum::{Datum, legal, same_name};
use super::framed::{Codec, DatumDecoder, DatumEncoder, Header, PrependingEncoder, Reading, StrippingDecoder, split};
use super::json::{JsonDecoder, JsonEncoder};
use super::protobuf::{Nullable, ProtobufCodec};
use super::registry::{Format, bare, check_columns, find, protobuf_name};
use super::schema::{RehearsalRegistry, Schema, SchemaRegistry, SchemaType, subject};
use super::{Decoder, Encoder, Layout, Side, json_schema};
use crate::error::{Error, Result};
use crate::types::{Column, FormatSpec, Namespace, SqlType, StructField};

/// The formats, and the registry if there is one.
#[derive(Debug, Clone, Default)]
pub struct Formats {
    registry: Option<Arc<dyn SchemaRegistry>>,
    /// What the registry answered when the statement ran first.
    recorded: Option<Arc<[Column]>>,
}

impl Formats {
    /// Formats over a registry.
    pub fn with_registry(registry: Arc<dyn SchemaRegistry>) -> Self {
        Self { registry: Some(registry), recorded: None }
    }

    /// The same, but nothing that is registered reaches the registry.
    pub fn rehearsal(&self) -> Self {
        let rehearse = |real: &Arc<dyn SchemaRegistry>| -> Arc<dyn SchemaRegistry> {
            Arc::new(RehearsalRegistry::new(real.clone()))
        };
        Self { registry: self.registry.as_ref().map(rehearse), recorded: self.recorded.clone() }
    }

    /// The same for a statement that runs again: its columns are those inferred back then, and nothing is registered or
    /// checked anew, so that a registry that has changed or is away keeps nothing from starting.
    pub fn replay(&self, inferred: &[Column]) -> Self {
        Self { registry: self.registry.clone(), recorded: Some(inferred.into()) }
    }

    pub(super) fn registry(&self, format: &str) -> Result<&Arc<dyn SchemaRegistry>> {
        self.registry.as_ref().ok_or_else(|| {
            Error::unsupported(format!("the format {format} needs a Schema Registry, and none is configured"))
                .hint("Set 'ksql.schema.registry.url', or use JSON, DELIMITED or PROTOBUF_NOSR.")
        })
    }

    /// Whether the registry has a schema of that number, of that subject, or both.
    pub fn has_schema(&self, subject: Option<&str>, id: Option<i64>) -> Result<bool> {
        let registry = self.registry.as_ref().ok_or_else(|| {
            Error::unsupported("asking for a schema: no Schema Registry is configured")
                .hint("Set 'ksql.schema.registry.url'.")
        })?;
        let number = id.map(i32::try_from);
        match (subject, number) {
            // No registry gives such numbers.
            (_, Some(Err(_))) => Ok(false),
            (Some(subject), Some(Ok(id))) => registry.has_version(subject, id),
            (Some(subject), None) => Ok(registry.latest(subject)?.is_some()),
            (None, Some(Ok(id))) => Ok(registry.by_id(id)?.is_some()),
            (None, None) => Ok(false),
        }
    }

    /// The columns of one side of a topic as the registry describes them: by the number of the schema that `spec` names,
    /// else by the newest schema of the topic. An unwrapped schema is a single column.
    ///
    /// > KSQL: names are in upper case unless the schema is given by number, as in a statement without quotes.
    pub fn infer(&self, spec: &FormatSpec, topic: &str, side: Side) -> Result<Vec<Column>> {
        let Format::Registered(ty) = find(&spec.name)? else {
            return Err(Error::internal(format!("the format {} has no schemas", spec.name)));
        };
        let namespace = if side == Side::Key { Namespace::Key } else { Namespace::Value };
        let of_side = |column: &&Column| column.namespace == namespace;
        let recorded: Vec<Column> = self.recorded.iter().flat_map(|all| all.iter()).filter(of_side).cloned().collect();
        if !recorded.is_empty() {
            return Ok(recorded);
        }
        let (id, schema) = self.existing(spec, topic, side, ty)?;
        let place = |reason: String| {
            Error::semantic(format!("the schema {id} of the topic {topic} has no columns: {reason}"))
                .hint("Write the columns down.")
        };
        let whole = match ty {
            SchemaType::Avro => AvroCodec::parse(&schema).and_then(|codec| codec.sql_type()),
            SchemaType::Json => json_schema::sql_type(&schema),
            SchemaType::Protobuf => {
                ProtobufCodec::parse(&schema, protobuf_name(spec)).and_then(|codec| codec.fields()).map(SqlType::Struct)
            }
        };
        let whole = whole.map_err(place)?;
        let unwrapped = ty != SchemaType::Protobuf && (side == Side::Key || !spec.wrapped);
        let fields = match whole {
            whole if unwrapped => {
                vec![StructField::new(if side == Side::Key { "ROWKEY" } else { "ROWVAL" }, whole)]
            }
            SqlType::Struct(fields) => fields,
            other => {
                return Err(place(format!("it is {other}, which has no fields"))
                    .hint("With WRAP_SINGLE_VALUE = FALSE it is a single column."));
            }
        };
        let keep_case = spec.properties.contains_key("SCHEMA_ID");
        let columns = fields.into_iter().map(|field| {
            let (name, ty) =
                if keep_case { (field.name, field.ty) } else { (field.name.to_uppercase(), upper_case(field.ty)) };
            match side {
                Side::Key => Column::key(name, ty),
                Side::Value => Column::value(name, ty),
            }
        });
        Ok(columns.collect())
    }

    /// Refuses columns that the schema whose number `spec` names cannot hold.
    pub fn check_schema(&self, spec: &FormatSpec, topic: &str, side: Side, columns: &[Column]) -> Result<()> {
        if !spec.properties.contains_key("SCHEMA_ID") || self.recorded.is_some() {
            return Ok(());
        }
        let known = self.infer(spec, topic, side)?;
        if let Format::Registered(SchemaType::Avro) = find(&spec.name)? {
            let (id, schema) = self.existing(spec, topic, side, SchemaType::Avro)?;
            let codec = AvroCodec::parse(&schema).map_err(Error::semantic)?;
            let given: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
            if let Some(field) =
                codec.required().find(|field| !given.contains(field)).filter(|_| !bare(spec, side, columns))
            {
                return Err(Error::semantic(format!(
                    "the schema {id} needs a value for `{field}`, and no column has that name"
                ))
                .hint("Select such a column, or give the field a default in the schema."));
            }
        }
        let changed = columns
            .iter()
            .enumerate()
            .find(|(i, column)| known.get(*i).is_none_or(|known| known.name != column.name || known.ty != column.ty));
        let Some((_, column)) = changed else { return Ok(()) };
        let known: Vec<String> = known.iter().map(|known| format!("`{}` {}", known.name, known.ty)).collect();
        let side = if side == Side::Key { "key" } else { "value" };
        Err(Error::semantic(format!(
            "the {side} column `{}` {} does not stand so in the schema",
            column.name, column.ty
        ))
        .hint(format!("The schema has {}: columns must have its names, types and order.", known.join(", "))))
    }

    /// Registers the schema that columns get in a topic, unless `spec` names one or, with `keep`, the topic has one.
    pub fn register(
        &self,
        spec: &FormatSpec,
        topic: &str,
        side: Side,
        columns: &[Column],
        keep: bool,
    ) -> Result<Option<i32>> {
        let Format::Registered(ty) = find(&spec.name)? else { return Ok(None) };
        if columns.is_empty() || spec.properties.contains_key("SCHEMA_ID") || self.recorded.is_some() {
            return Ok(None);
        }
        let registry = self.registry(&spec.name)?;
        let subject = subject(topic, side == Side::Key);
        if keep && let Some((id, _)) = registry.latest(&subject)? {
            return Ok(Some(id));
        }
        check_columns(spec, side, columns)?;
        registry.register(&subject, &generate(spec, topic, side, columns, ty)?).map(Some)
    }

    /// Bytes of a message that is given as JSON, in the newest schema of one side of a topic.
    pub fn message_from_json(&self, spec: &FormatSpec, topic: &str, side: Side, json: &str) -> Result<Vec<u8>> {
        let Format::Registered(ty) = find(&spec.name)? else {
            return Err(Error::internal(format!("the format {} has no schemas", spec.name)));
        };
        let (id, schema) = self.existing(spec, topic, side, ty)?;
        let wrong = |reason: String| Error::data(format!("schema {id} of {topic}: {reason}"));
        let mut out = vec![0];
        out.extend_from_slice(&id.to_be_bytes());
        if ty == SchemaType::Json {
            out.extend_from_slice(json.as_bytes());
            return Ok(out);
        }
        let codec = Codec::new(&schema, protobuf_name(spec)).map_err(wrong)?;
        codec.write(&Datum::from_json(json).map_err(wrong)?, &mut out).map_err(wrong)?;
        Ok(out)
    }

    /// A message with a schema of the registry, as JSON.
    pub fn message_to_json(&self, bytes: &[u8]) -> Result<String> {
        let registry = self.registry("of this message")?;
        let (id, body) = split(bytes).map_err(Error::data)?;
        let schema = registry.by_id(id)?.ok_or_else(|| Error::not_found(format!("the registry has no schema {id}")))?;
        if schema.ty == SchemaType::Json {
            return String::from_utf8(body.to_vec()).map_err(|_| Error::data("the message is not UTF-8"));
        }
        let codec = Codec::new(&schema, None).map_err(Error::data)?;
        Ok(codec.read(body).map_err(Error::data)?.to_json())
    }

    /// The schema that `spec` names by number, else the newest one of the topic.
    fn existing(&self, spec: &FormatSpec, topic: &str, side: Side, ty: SchemaType) -> Result<(i32, Schema)> {
        let registry = self.registry(&spec.name)?;
        let (id, schema) = match spec.properties.get("SCHEMA_ID") {
            Some(id) => {
                let id: i32 = id.parse().map_err(|_| Error::semantic(format!("{id} is no number of a schema")))?;
                let schema = registry.by_id(id)?;
                (id, schema.ok_or_else(|| Error::not_found(format!("the Schema Registry has no schema {id}")))?)
            }
            None => {
                let subject = subject(topic, side == Side::Key);
                registry.latest(&subject)?.ok_or_else(|| {
                    let side = if side == Side::Key { "keys" } else { "values" };
                    Error::not_found(format!("the Schema Registry has no schema for {side} of the topic {topic}"))
                        .hint(format!("Register one under {subject}, or write the columns down."))
                })?
            }
        };
        if schema.ty != ty {
            let message = format!("the schema {id} is {}, and the format is {}", schema.ty.name(), spec.name);
            return Err(Error::semantic(message).hint("Name the format that the schema is for."));
        }
        Ok((id, schema))
    }

    pub(super) fn plain_protobuf_decoder(&self, spec: &FormatSpec, layout: &Layout<'_>) -> Result<Box<dyn Decoder>> {
        let codec = plain_codec(spec, layout.columns)?;
        Ok(Box::new(DatumDecoder::new(layout, Reading::Fixed(codec), SchemaType::Protobuf)))
    }

    pub(super) fn plain_protobuf_encoder(&self, spec: &FormatSpec, layout: &Layout<'_>) -> Result<Box<dyn Encoder>> {
        let codec = Codec::Protobuf(plain_codec(spec, layout.columns)?);
        Ok(Box::new(DatumEncoder::new(layout, codec, Header::None)))
    }

    pub(super) fn framed_decoder(
        &self,
        spec: &FormatSpec,
        layout: &Layout<'_>,
        ty: SchemaType,
    ) -> Result<Box<dyn Decoder>> {
        let registry = self.registry(&spec.name)?.clone();
        Ok(match ty {
            SchemaType::Json => Box::new(StrippingDecoder { inner: Box::new(JsonDecoder::new(layout)) }),
            SchemaType::Avro | SchemaType::Protobuf => {
                Box::new(DatumDecoder::new(layout, Reading::Registry(registry, HashMap::new()), ty))
            }
        })
    }

    pub(super) fn framed_encoder(
        &self,
        spec: &FormatSpec,
        topic: &str,
        layout: &Layout<'_>,
        ty: SchemaType,
    ) -> Result<Box<dyn Encoder>> {
        let (id, schema) = if spec.properties.contains_key("SCHEMA_ID") {
            self.existing(spec, topic, layout.side, ty)?
        } else {
            let schema = generate(spec, topic, layout.side, layout.columns, ty)?;
            let subject = subject(topic, layout.side == Side::Key);
            (self.registry(&spec.name)?.register(&subject, &schema)?, schema)
        };
        if ty == SchemaType::Json {
            let extra = if spec.properties.contains_key("SCHEMA_ID") && !layout.bare {
                properties_beyond(&schema, layout.columns)
            } else {
                Vec::new()
            };
            let columns: Vec<Column> = layout.columns.iter().chain(&extra).cloned().collect();
            let wanted = vec![true; columns.len()];
            let layout = Layout { side: layout.side, columns: &columns, wanted: &wanted, bare: layout.bare };
            let extra = extra.into_iter().map(|column| column.ty).collect();
            return Ok(Box::new(PrependingEncoder { inner: Box::new(JsonEncoder::new(&layout)), id, extra }));
        }
        let codec = Codec::new(&schema, protobuf_name(spec))
            .map_err(|reason| Error::semantic(format!("the schema {id} of the topic {topic}: {reason}")))?;
        Ok(Box::new(DatumEncoder::new(layout, codec, Header::Schema(id))))
    }
}

fn nullable(spec: &FormatSpec) -> Nullable {
    Nullable::of(spec.properties.get("NULLABLE_REPRESENTATION").map(String::as_str))
}

fn plain_codec(spec: &FormatSpec, columns: &[Column]) -> Result<ProtobufCodec> {
    ProtobufCodec::generate(columns, protobuf_name(spec), nullable(spec)).map_err(Error::semantic)
}

/// The schema that columns get.
fn generate(spec: &FormatSpec, topic: &str, side: Side, columns: &[Column], ty: SchemaType) -> Result<Schema> {
    let bare = bare(spec, side, columns);
    let text = match ty {
        SchemaType::Avro => {
            let of_key = (side == Side::Key).then(|| key_record_name(topic));
            AvroCodec::generate(columns, bare, protobuf_name(spec).or(of_key.as_deref()))
        }
        SchemaType::Json => json_schema::generate(columns, bare),
        SchemaType::Protobuf => plain_codec(spec, columns)?.text(),
    };
    Ok(Schema::new(ty, text))
}

/// Properties of a JSON schema that the row has no column for: they are written as nulls.
fn properties_beyond(schema: &Schema, columns: &[Column]) -> Vec<Column> {
    let Ok(SqlType::Struct(fields)) = json_schema::sql_type(schema) else { return Vec::new() };
    let known = |name: &str| columns.iter().any(|column| same_name(&column.name, name));
    fields.into_iter().filter(|field| !known(&field.name)).map(|field| Column::value(field.name, field.ty)).collect()
}

/// > KSQL: key records are named after the topic: `ORDERS_BY_ID` has `OrdersByIdKey`.
fn key_record_name(topic: &str) -> String {
    let words = topic.split(['_', '-', '.']).filter(|word| !word.is_empty());
    let camel: String = words
        .map(|word| {
            let mut chars = word.chars();
            let first: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
            first + &chars.as_str().to_lowercase()
        })
        .collect();
    format!("io.confluent.ksql.avro_schemas.{}Key", legal(&camel))
}

#[cfg(test)]
mod tests;

/// The type with all names of fields in upper case.
fn upper_case(ty: SqlType) -> SqlType {
    match ty {
        SqlType::Array(item) => SqlType::array(upper_case(*item)),
        SqlType::Map(key, value) => SqlType::map(upper_case(*key), upper_case(*value)),
        SqlType::Struct(fields) => SqlType::Struct(
            fields.into_iter().map(|field| StructField::new(field.name.to_uppercase(), upper_case(field.ty))).collect(),
        ),
        scalar => scalar,
    }
}
