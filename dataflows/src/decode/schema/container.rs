//! Container files of Avro: the schema that such a file has, by which its data are told from one another and decoded.
//!
//! Its source finds the data and hands out the schema's text as the record at offset 0 ([`crate::decode::Decoder::header_at`]), as a
//! file of rows has its header there; the data follow.

use super::avro::AvroSchema;
use super::compiled::CompiledSchema;
use super::message::SchemaMessage;
use std::sync::Arc;

/// The schema of a container file.
#[derive(Clone, Debug)]
pub struct ContainerSchema(AvroSchema);

impl ContainerSchema {
    /// Of this text.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        AvroSchema::parse(text, std::iter::empty()).map(ContainerSchema)
    }

    /// How many of these bytes the first datum takes.
    ///
    /// # Errors
    /// What is wrong with its bytes, for people.
    pub fn datum_length(&self, bytes: &[u8]) -> Result<usize, String> {
        self.0.length_of_first(bytes)
    }
}

/// The schema of one partition, as its first record tells it.
#[derive(Clone, Debug, Default)]
pub(super) struct ContainerHeader(Option<Result<Arc<CompiledSchema>, String>>);

impl ContainerHeader {
    /// The record that has the schema.
    pub(super) const OFFSET: i64 = 0;

    /// Reads the schema of a partition.
    pub(super) fn read(&mut self, payload: &[u8]) {
        let text = std::str::from_utf8(payload).map_err(|_| "no UTF-8".to_owned());
        let schema = text.and_then(ContainerSchema::parse);
        self.0 = Some(schema.map(|ContainerSchema(schema)| Arc::new(CompiledSchema::Avro(schema))));
    }

    /// The message that a payload is.
    ///
    /// # Errors
    /// What its schema should be or is, and what is wrong, for people.
    pub(super) fn message<'a>(&self, payload: &'a [u8]) -> Result<SchemaMessage<'a>, (String, String)> {
        match &self.0 {
            None => Err(("the schema of the file".to_owned(), "none, as its first record was not read".to_owned())),
            Some(Err(why)) => Err(("the schema of the file".to_owned(), why.clone())),
            Some(Ok(schema)) => {
                schema.bare(payload).map_err(|why| (format!("a message of the {}", schema.describe()), why))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_that_follow_one_another_are_told_apart() {
        let schema = ContainerSchema::parse(r#"{"type":"record","name":"T","fields":[{"name":"s","type":"string"}]}"#);
        let (schema, bytes) = (schema.unwrap(), b"\x04AB\x02C\x00rest");
        let lengths: Vec<_> = [0, 3, 5].iter().map(|from| schema.datum_length(&bytes[*from..]).unwrap()).collect();
        assert_eq!(lengths, [3, 2, 1]);
        assert!(schema.datum_length(b"\x08AB").is_err() && schema.datum_length(b"").is_err());
        assert_eq!(ContainerSchema::parse("\"null\"").unwrap().datum_length(b"").unwrap(), 0);
        assert!(ContainerSchema::parse("{").is_err());
    }

    #[test]
    fn without_its_schema_a_message_is_rejected() {
        let mut header = ContainerHeader::default();
        assert!(header.message(b"\x02").unwrap_err().1.contains("not read"));
        header.read(b"\"long\"");
        assert!(matches!(header.message(b"\x02"), Ok(SchemaMessage::Avro(_))));
        assert!(header.message(b"\x02\x02").unwrap_err().0.contains("long"));
        header.read(b"\xff");
        assert_eq!(header.message(b"\x02").unwrap_err().1, "no UTF-8");
    }
}
