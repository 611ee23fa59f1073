//! A schema to descriptors of its messages.

use crate::escape::{escaped, shortened};
use prost_reflect::prost::Message;
use prost_reflect::prost_types::FileDescriptorSet;
use prost_reflect::{DescriptorPool, MessageDescriptor};
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

/// What the text of a schema is called within its compilation; what it imports must not be called so.
const ROOT: &str = "schema of this message.proto";
/// Names that a finding lists at most.
const MOST_NAMES: usize = 8;

/// Files that registries know without being told, beside `google/protobuf/*`.
const KNOWN: [(&str, &str); 6] = [
    ("confluent/meta.proto", include_str!("known/confluent_meta.proto")),
    ("confluent/type/decimal.proto", include_str!("known/confluent_decimal.proto")),
    ("google/type/decimal.proto", include_str!("known/google_decimal.proto")),
    ("google/type/money.proto", include_str!("known/google_money.proto")),
    ("google/type/date.proto", include_str!("known/google_date.proto")),
    ("google/type/timeofday.proto", include_str!("known/google_timeofday.proto")),
];

/// A schema that messages can be decoded by.
#[derive(Clone, Debug)]
pub(crate) struct ProtobufSchema {
    /// The file's own messages, in its order: Confluent's frame says one by its index.
    messages: Vec<MessageDescriptor>,
    /// Which of all messages it is, where no frame says it.
    chosen: Option<MessageDescriptor>,
}

impl ProtobufSchema {
    /// The text of a .proto file, and of those that it imports, by their paths.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub(crate) fn compile(text: &str, imports: &[(String, String)]) -> Result<Self, String> {
        let mut files = ChainFileResolver::new();
        files.add(Texts { root: text.to_owned(), imports: imports.to_vec() });
        files.add(GoogleFileResolver::new());
        let mut compiler = protox::Compiler::with_file_resolver(files);
        compiler.include_imports(true);
        compiler.open_file(ROOT).map_err(|error| wrong(&error))?;
        let file = compiler.descriptor_pool().get_file_by_name(ROOT).ok_or("it has no file")?;
        Ok(ProtobufSchema { messages: file.messages().collect(), chosen: None })
    }

    /// A set of descriptors, as `protoc --include_imports --descriptor_set_out` writes it.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub(crate) fn of_descriptors(bytes: &[u8]) -> Result<Self, String> {
        let set = FileDescriptorSet::decode(bytes).map_err(|error| format!("no set of descriptors: {error}"))?;
        for file in &set.file {
            // prost-reflect 0.16 panics at any other syntax.
            if !matches!(file.syntax.as_deref(), None | Some("proto2" | "proto3")) {
                let (file, syntax) = (shortened(file.name()), shortened(file.syntax()));
                return Err(format!("{file} has the syntax {syntax:?}; proto2 and proto3 can be read"));
            }
        }
        let pool = DescriptorPool::from_file_descriptor_set(set);
        let pool = pool.map_err(|error| format!("a set of descriptors that do not fit together: {error}"))?;
        let messages = pool.files().flat_map(|file| file.messages().collect::<Vec<_>>());
        let messages = messages.filter(|message| !message.full_name().starts_with("google.protobuf."));
        Ok(ProtobufSchema { messages: messages.collect(), chosen: None })
    }

    /// Messages have no frame and are of this type; without its name, of the only one that there is.
    ///
    /// # Errors
    /// Which types there are.
    pub(crate) fn choose(mut self, name: Option<&str>) -> Result<Self, String> {
        let names = || {
            let names: Vec<_> = self.messages.iter().take(MOST_NAMES).map(MessageDescriptor::full_name).collect();
            let more = if self.messages.len() > MOST_NAMES { ", …" } else { "" };
            format!("{}{more}", escaped(&names.join(", ")))
        };
        let chosen = match (name, &self.messages[..]) {
            (None, []) => return Err("it has no message".into()),
            (None, [message]) => message.clone(),
            (None, _) => return Err(format!("it has several messages, and one must be chosen: {}", names())),
            (Some(_), []) => return Err("it has no message".into()),
            (Some(name), [first, ..]) => {
                let full = first.parent_pool().get_message_by_name(name);
                let mut short = self.messages.iter().filter(|message| message.name() == name);
                let short = short.next().cloned().filter(|_| short.next().is_none());
                full.or(short).ok_or_else(|| format!("it has no message {:?}, but {}", shortened(name), names()))?
            }
        };
        self.chosen = Some(chosen);
        Ok(self)
    }

    /// The type of messages without a frame.
    pub(crate) fn chosen(&self) -> Option<&MessageDescriptor> {
        self.chosen.as_ref()
    }

    /// The type that a frame says: of the file's messages the one at the first index, of its messages the one at the next.
    /// The entries of a map, which descriptors have as messages, have no index, as in Confluent's own serializers.
    pub(crate) fn message_at(&self, indexes: &[usize]) -> Option<MessageDescriptor> {
        let (first, inner) = indexes.split_first()?;
        inner.iter().try_fold(self.messages.get(*first)?.clone(), |message, index| {
            message.child_messages().filter(|child| !child.is_map_entry()).nth(*index)
        })
    }
}

/// The texts of one compilation.
struct Texts {
    root: String,
    imports: Vec<(String, String)>,
}

impl FileResolver for Texts {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let import = || self.imports.iter().find(|(path, _)| path == name).map(|(_, text)| text.as_str());
        let known = || KNOWN.iter().find(|(path, _)| *path == name).map(|(_, text)| *text);
        let text = if name == ROOT { Some(self.root.as_str()) } else { import().or_else(known) };
        File::from_source(name, text.ok_or_else(|| protox::Error::file_not_found(name))?)
    }
}

fn wrong(error: &protox::Error) -> String {
    let text = error.to_string();
    match error.file() {
        Some(file) if file != ROOT => format!("{}: {}", shortened(file), shortened(&text)),
        _ => shortened(&text.replace(ROOT, "the schema")),
    }
}
