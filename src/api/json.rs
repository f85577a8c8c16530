//! JSON, strictly: text → tree → value, with a pointer and a stable code for everything that does not fit.
//!
//! serde alone is too kind and too terse for an API: it takes an array for a struct, the last of two equal keys,
//! a NUL that PostgreSQL refuses, and stops at the first error in words of its own. Here the text becomes a tree
//! once, under limits; the tree is read by a deserializer that knows where it stands; and each mistake is mended
//! with a stand-in so that the next one shows, too.

use std::cell::RefCell;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, Expected,
    IntoDeserializer, MapAccess, SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde_json::{Map, Value};
use validator::{Validate, ValidationError, ValidationErrors, ValidationErrorsKind};

use crate::error::Violation;

/// How deep objects and arrays may nest.
const DEPTH: usize = 32;

/// How many mistakes are looked for, and how often the tree is read in looking for them.
const MISTAKES: usize = 20;
const READS: usize = 120;

/// Reads `text` as a `T` that holds, or names everything wrong with it.
pub fn read<T: DeserializeOwned + Validate>(text: &[u8]) -> Result<T, Vec<Violation>> {
    check(decode::<T>(tree(text)?, Form::Json))
}

/// Reads the parameters of a query string as a `T` that holds, or names everything wrong with them.
///
/// The names in `foreign` are left to another reader of the same query.
pub fn read_query<T: DeserializeOwned + Validate>(
    pairs: Vec<(String, String)>,
    foreign: &[&str],
) -> Result<T, Vec<Violation>> {
    let mut found = Vec::new();
    let mut object = Map::new();
    for (name, value) in pairs {
        if name.contains('\0') || value.contains('\0') {
            found.push(Violation::new(
                &*join("", &name),
                "nul-character",
                "Remove the NUL character.",
            ));
        } else if is_blank(&value) {
            found.push(Violation::new(&*join("", &name), "blank", "Write more than spaces."));
        } else if object.contains_key(&name) {
            found.push(Violation::new(&*join("", &name), "duplicate-parameter", "Send it once."));
        }
        object.insert(name, Value::String(value));
    }
    let (value, mut mistakes) = decode::<T>(Value::Object(object), Form::Query);
    mistakes.retain(|one| {
        one.code != "unknown-member" || !foreign.iter().any(|name| one.pointer[1..] == **name)
    });
    found.append(&mut mistakes);
    found.truncate(MISTAKES);
    check((value, found)).map_err(|violations| {
        let bare = |one: Violation| Violation {
            pointer: one.pointer.trim_start_matches('/').to_owned(),
            ..one
        };
        violations.into_iter().map(bare).collect()
    })
}

/// Tells whether a text says nothing although it is not empty.
fn is_blank(text: &str) -> bool {
    !text.is_empty() && text.trim().is_empty()
}

fn check<T: Validate>(
    (value, mut violations): (Option<T>, Vec<Violation>),
) -> Result<T, Vec<Violation>> {
    if let Some(value) = &value
        && let Err(errors) = value.validate()
    {
        let mended: Vec<String> = violations.iter().map(|one| one.pointer.clone()).collect();
        for found in flatten(&errors) {
            if !mended.iter().any(|pointer| found.pointer.starts_with(pointer.as_str())) {
                violations.push(found);
            }
        }
    }
    match value {
        Some(value) if violations.is_empty() => Ok(value),
        _ => Err(violations),
    }
}

// ── Text to tree ──────────────────────────────────────────────────────────────────────────────────────────

fn tree(text: &[u8]) -> Result<Value, Vec<Violation>> {
    let found = RefCell::new(Vec::new());
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let node = Node { pointer: String::new(), depth: 0, found: &found };
    let parsed =
        node.deserialize(&mut deserializer).and_then(|tree| deserializer.end().map(|()| tree));
    let mut violations = found.into_inner();
    match parsed {
        Ok(Value::Object(_)) if !violations.is_empty() => Err(violations),
        Ok(tree @ Value::Object(_)) => Ok(tree),
        Ok(_) => {
            violations.push(Violation::new("", "wrong-type", "Send a JSON object."));
            Err(violations)
        }
        Err(_) if !violations.is_empty() => Err(violations),
        Err(error) => {
            let detail = format!(
                "Send well-formed JSON in UTF-8; reading stopped at line {}, column {}.",
                error.line(),
                error.column()
            );
            Err(vec![Violation::new("", "malformed-json", detail)])
        }
    }
}

struct Node<'a> {
    pointer: String,
    depth: usize,
    found: &'a RefCell<Vec<Violation>>,
}

impl Node<'_> {
    fn note(&self, pointer: &str, code: &'static str, detail: &str) {
        let mut found = self.found.borrow_mut();
        if found.len() < MISTAKES {
            found.push(Violation::new(pointer, code, detail));
        }
    }

    fn below(&self, key: &str) -> Self
    where
        Self: Sized,
    {
        Node { pointer: join(&self.pointer, key), depth: self.depth + 1, found: self.found }
    }

    fn check_depth<E: serde::de::Error>(&self) -> Result<(), E> {
        if self.depth < DEPTH {
            return Ok(());
        }
        self.note("", "too-deep", "Nest objects and arrays at most 32 deep.");
        Err(E::custom("too deep"))
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        if value.contains('\0') {
            self.note(&self.pointer, "nul-character", "Remove the NUL character.");
        } else if is_blank(value) {
            self.note(&self.pointer, "blank", "Write more than spaces.");
        }
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.check_depth()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(self.below(&array.len().to_string()))? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        self.check_depth()?;
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            let below = self.below(&key);
            if key.contains('\0') {
                self.note(
                    &self.pointer,
                    "nul-character",
                    "Remove the NUL character from the name.",
                );
            }
            if object.contains_key(&key) {
                self.note(&below.pointer, "duplicate-member", "Send each member once.");
            }
            let value = members.next_value_seed(below)?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

fn join(pointer: &str, key: &str) -> String {
    let key: String = key.chars().take(100).collect();
    let key = key.replace('\0', "\u{fffd}").replace('~', "~0").replace('/', "~1");
    format!("{pointer}/{key}")
}

// ── Tree to value ─────────────────────────────────────────────────────────────────────────────────────────

/// Reads the tree; where it does not fit, notes it, puts a stand-in there and reads on.
fn decode<T: DeserializeOwned>(mut tree: Value, form: Form) -> (Option<T>, Vec<Violation>) {
    let mut violations: Vec<Violation> = Vec::new();
    let mut noted: Vec<Vec<String>> = Vec::new();
    let mut reads = 0;
    let mut outcome = T::deserialize(Reader(&tree, form));
    loop {
        let mistake = match outcome {
            Ok(value) => return (Some(value), violations),
            Err(mistake) => mistake,
        };
        let place = mistake.place.clone();
        // What a stand-in of ours lacks is not the caller's mistake.
        if !noted.iter().any(|above| place.starts_with(above)) {
            violations.push(mistake.violation());
            noted.push(place.clone());
        }
        if violations.len() >= MISTAKES {
            return (None, violations);
        }
        let mut next = None;
        for stand_in in mistake.stand_ins() {
            reads += 1;
            if reads > READS {
                return (None, violations);
            }
            put(&mut tree, &place, stand_in);
            match T::deserialize(Reader(&tree, form)) {
                Err(again) if again.place == place => {}
                moved => {
                    next = Some(moved);
                    break;
                }
            }
        }
        match next {
            Some(moved) => outcome = moved,
            None => return (None, violations),
        }
    }
}

/// Puts `value` at `place`, or takes the member there away.
fn put(tree: &mut Value, place: &[String], value: Option<Value>) {
    let Some((last, parents)) = place.split_last() else { return };
    let mut node = tree;
    for key in parents {
        let below = match node {
            Value::Object(object) => object.get_mut(key),
            Value::Array(array) => key.parse::<usize>().ok().and_then(|at| array.get_mut(at)),
            _ => None,
        };
        let Some(below) = below else { return };
        node = below;
    }
    match (node, value) {
        (Value::Object(object), Some(value)) => {
            object.insert(last.clone(), value);
        }
        (Value::Object(object), None) => {
            object.remove(last);
        }
        (Value::Array(array), Some(value)) => {
            if let Some(slot) = last.parse::<usize>().ok().and_then(|at| array.get_mut(at)) {
                *slot = value;
            }
        }
        _ => {}
    }
}

/// What does not fit, and where.
#[derive(Debug)]
struct Mistake {
    place: Vec<String>,
    code: &'static str,
    detail: String,
    example: Option<&'static str>,
}

impl Mistake {
    fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { place: Vec::new(), code, detail: detail.into(), example: None }
    }

    fn at(mut self, key: &str) -> Self {
        self.place.insert(0, key.to_owned());
        self
    }

    fn violation(&self) -> Violation {
        let pointer = self.place.iter().fold(String::new(), |pointer, key| join(&pointer, key));
        Violation::new(pointer, self.code, self.detail.clone())
    }

    /// Values that may stand in for the mistaken one; `None` takes the member away.
    fn stand_ins(&self) -> Vec<Option<Value>> {
        if self.place.is_empty() {
            return Vec::new();
        }
        if self.code == "unknown-member" {
            return vec![None];
        }
        let mut values = vec![Value::Null];
        values.extend(self.example.map(Value::from));
        values.extend([
            Value::from(""),
            Value::from(1),
            Value::Bool(false),
            Value::Array(Vec::new()),
            Value::Object(Map::new()),
            Value::from("2000-01-01"),
            Value::from("2000-01-01T00:00:00Z"),
            Value::from("00000000-0000-0000-0000-000000000000"),
        ]);
        values.into_iter().map(Some).collect()
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.detail)
    }
}

impl std::error::Error for Mistake {}

fn kind_of(unexpected: &Unexpected<'_>) -> &'static str {
    match unexpected {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "a whole number",
        Unexpected::Float(_) => "a fraction",
        Unexpected::Str(_) | Unexpected::Char(_) | Unexpected::Bytes(_) => "a string",
        Unexpected::Unit | Unexpected::Option => "null",
        Unexpected::Seq => "an array",
        _ => "an object",
    }
}

impl serde::de::Error for Mistake {
    fn custom<T: fmt::Display>(message: T) -> Self {
        // What a type of ours says of its own value; serde's other words never come this way.
        Self::new("invalid-value", message.to_string())
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let got = kind_of(&unexpected);
        let expected = expected.to_string();
        let wanted = match expected.split(' ').next() {
            Some("struct" | "map" | "enum" | "internally" | "variant" | "adjacently") => {
                "an object"
            }
            Some("i8" | "i16" | "i32" | "i64" | "u8" | "u16" | "u32" | "u64" | "usize") => {
                "a whole number"
            }
            Some("f32" | "f64") => "a number",
            Some("sequence") => "an array",
            Some("tuple") => "an array of fixed length",
            Some("a") if expected.contains("boolean") => "a boolean",
            Some("a") if expected.contains("sequence") => "an array",
            Some("a") if expected.contains("map") => "an object",
            _ => "a string",
        };
        Self::new("wrong-type", format!("Send {wanted} here, not {got}."))
    }

    fn invalid_value(_: Unexpected<'_>, _: &dyn Expected) -> Self {
        Self::new("invalid-value", "Send a value that the schema allows here.")
    }

    fn invalid_length(_: usize, _: &dyn Expected) -> Self {
        Self::new("wrong-length", "Send as many items as the schema says.")
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        let detail = format!("Send one of: {}.", expected.join(", "));
        Self { example: expected.first().copied(), ..Self::new("unknown-value", detail) }
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let detail = if expected.is_empty() {
            "Remove this member; none is known here.".to_owned()
        } else {
            format!("Remove this member; known here are: {}.", expected.join(", "))
        };
        Self::new("unknown-member", detail).at(field)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new("required", "Add this member.").at(field)
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new("duplicate-member", "Send each member once.").at(field)
    }
}

/// In which form the tree's leaves are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// With types.
    Json,
    /// All as text.
    Query,
}

struct Reader<'a>(&'a Value, Form);

impl Reader<'_> {
    fn unexpected(&self) -> Unexpected<'_> {
        match self.0 {
            Value::Null => Unexpected::Unit,
            Value::Bool(value) => Unexpected::Bool(*value),
            Value::Number(number) => number.as_i64().map_or_else(
                || Unexpected::Float(number.as_f64().unwrap_or(0.0)),
                Unexpected::Signed,
            ),
            Value::String(text) => Unexpected::Str(text),
            Value::Array(_) => Unexpected::Seq,
            Value::Object(_) => Unexpected::Map,
        }
    }
}

/// Reads the named types from text where all is text.
macro_rules! from_text {
    ($($read:ident $visit:ident $type:ty),+) => {$(
        fn $read<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
            match (self.1, self.0) {
                (Form::Query, Value::String(text)) => match text.parse::<$type>() {
                    Ok(value) => visitor.$visit(value),
                    Err(_) => Err(Mistake::invalid_type(self.unexpected(), &visitor)),
                },
                _ => self.deserialize_any(visitor),
            }
        }
    )+};
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = Mistake;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => {
                if let Some(value) = number.as_u64() {
                    visitor.visit_u64(value)
                } else if let Some(value) = number.as_i64() {
                    visitor.visit_i64(value)
                } else {
                    visitor.visit_f64(number.as_f64().unwrap_or(0.0))
                }
            }
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(array) => visitor.visit_seq(Items(array.iter().enumerate(), self.1)),
            Value::Object(object) => visitor.visit_map(Members(object.iter(), None, self.1)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.0 {
            Value::Object(_) => self.deserialize_any(visitor),
            _ => Err(Mistake::invalid_type(self.unexpected(), &visitor)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        // The point of this reader: an array never stands for an object.
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        match self.0 {
            Value::String(name) => visitor.visit_enum(Variant { name, content: None }),
            Value::Object(object) if object.len() == 1 => match object.iter().next() {
                Some((name, content)) => {
                    visitor.visit_enum(Variant { name, content: Some(content) })
                }
                None => Err(Mistake::invalid_type(Unexpected::Map, &visitor)),
            },
            _ => Err(Mistake::new("wrong-type", "Send one of the names that the schema lists.")),
        }
    }

    from_text! {
        deserialize_bool visit_bool bool, deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32, deserialize_i64 visit_i64 i64, deserialize_u8 visit_u8 u8,
        deserialize_u16 visit_u16 u16, deserialize_u32 visit_u32 u32, deserialize_u64 visit_u64 u64,
        deserialize_f64 visit_f64 f64
    }

    serde::forward_to_deserialize_any! {
        i128 u128 f32 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct identifier ignored_any
    }
}

struct Items<'de>(std::iter::Enumerate<std::slice::Iter<'de, Value>>, Form);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Mistake;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Mistake> {
        let Some((at, item)) = self.0.next() else { return Ok(None) };
        seed.deserialize(Reader(item, self.1))
            .map(Some)
            .map_err(|mistake| mistake.at(&at.to_string()))
    }
}

struct Members<'de>(serde_json::map::Iter<'de>, Option<(&'de str, &'de Value)>, Form);

impl<'de> MapAccess<'de> for Members<'de> {
    type Error = Mistake;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Mistake> {
        let Some((key, value)) = self.0.next() else { return Ok(None) };
        self.1 = Some((key, value));
        let key: StrDeserializer<'de, Mistake> = key.as_str().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Mistake> {
        let Some((key, value)) = self.1.take() else {
            return Err(Mistake::new("invalid-value", "Send a member with a value."));
        };
        seed.deserialize(Reader(value, self.2)).map_err(|mistake| mistake.at(key))
    }
}

struct Variant<'de> {
    name: &'de str,
    content: Option<&'de Value>,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Mistake;
    type Variant = Content<'de>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Content<'de>), Mistake> {
        let name: StrDeserializer<'de, Mistake> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, Content { name: self.name, content: self.content }))
    }
}

struct Content<'de> {
    name: &'de str,
    content: Option<&'de Value>,
}

impl<'de> Content<'de> {
    fn reader(&self) -> Result<Reader<'de>, Mistake> {
        let missing = || Mistake::new("wrong-type", "Send an object with one member here.");
        self.content.map(|content| Reader(content, Form::Json)).ok_or_else(missing)
    }
}

impl<'de> VariantAccess<'de> for Content<'de> {
    type Error = Mistake;

    fn unit_variant(self) -> Result<(), Mistake> {
        match self.content {
            None | Some(Value::Null) => Ok(()),
            Some(_) => Err(Mistake::new("wrong-type", "Send the name alone.")),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Mistake> {
        seed.deserialize(self.reader()?).map_err(|mistake| mistake.at(self.name))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Mistake> {
        self.reader()?.deserialize_any(visitor).map_err(|mistake| mistake.at(self.name))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        self.reader()?.deserialize_map(visitor).map_err(|mistake| mistake.at(self.name))
    }
}

/// Reads a tree as a `T` that holds, or names everything wrong with it: for parts that a handler decodes late.
pub fn read_tree<T: DeserializeOwned + Validate>(tree: Value) -> Result<T, Vec<Violation>> {
    check(decode::<T>(tree, Form::Json))
}

/// Reads a tree as a `T` strictly, without validating it: for parts that a handler decodes late.
pub fn from_tree<'de, T: Deserialize<'de>>(tree: &'de Value) -> Result<T, Violation> {
    T::deserialize(Reader(tree, Form::Json)).map_err(|mistake| mistake.violation())
}

// ── Validation errors ─────────────────────────────────────────────────────────────────────────────────────

/// Lists the validator's findings with pointers in the API's spelling, ordered by pointer.
pub fn flatten(errors: &ValidationErrors) -> Vec<Violation> {
    let mut found = Vec::new();
    collect(errors, "", &mut found);
    found.sort_by(|a, b| a.pointer.cmp(&b.pointer));
    found
}

fn collect(errors: &ValidationErrors, pointer: &str, found: &mut Vec<Violation>) {
    for (field, kind) in errors.errors() {
        let below =
            if field == "__all__" { pointer.to_owned() } else { join(pointer, &camel(field)) };
        match kind {
            ValidationErrorsKind::Struct(inner) => collect(inner, &below, found),
            ValidationErrorsKind::List(items) => {
                for (at, inner) in items {
                    collect(inner, &format!("{below}/{at}"), found);
                }
            }
            ValidationErrorsKind::Field(list) => {
                found.extend(list.iter().map(|error| {
                    Violation::new(&*below, error.code.replace('_', "-"), wording(error))
                }));
            }
        }
    }
}

fn wording(error: &ValidationError) -> String {
    if let Some(message) = &error.message {
        return message.clone().into_owned();
    }
    let bound = |name: &str| error.params.get(name).map(ToString::to_string);
    match (error.code.as_ref(), bound("min"), bound("max"), bound("equal")) {
        ("length", _, _, Some(equal)) => format!("Send exactly {equal} characters or items."),
        ("length", Some(min), Some(max), _) => format!("Send {min} to {max} characters or items."),
        ("length", Some(min), None, _) => format!("Send at least {min} characters or items."),
        ("length", None, Some(max), _) => format!("Send at most {max} characters or items."),
        ("range", Some(min), Some(max), _) => format!("Send a number from {min} to {max}."),
        ("range", Some(min), None, _) => format!("Send a number of at least {min}."),
        ("range", None, Some(max), _) => format!("Send a number of at most {max}."),
        ("email", ..) => "Send a valid e-mail address.".to_owned(),
        _ => "Send a value that the schema allows here.".to_owned(),
    }
}

fn camel(field: &str) -> String {
    let mut words = field.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut name, word| {
        let mut letters = word.chars();
        name.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        name.extend(letters);
        name
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, Validate)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Whole {
        #[validate(length(min = 3))]
        first_name: String,
        #[validate(nested)]
        parts: Vec<Part>,
        #[serde(default)]
        kind: Kind,
        born: chrono::NaiveDate,
    }

    #[derive(Debug, Deserialize, Validate)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Part {
        #[validate(range(min = 1))]
        size_mm: i32,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(rename_all = "camelCase")]
    enum Kind {
        #[default]
        Large,
        Small,
    }

    fn mistakes(text: &str) -> Vec<(String, String)> {
        let found = read::<Whole>(text.as_bytes()).unwrap_err();
        found.into_iter().map(|one| (one.pointer, one.code.into_owned())).collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn what_fits_is_read() {
        let text =
            br#"{"firstName":"Ivan","parts":[{"sizeMm":2}],"kind":"small","born":"2000-02-29"}"#;
        let whole: Whole = read(text).unwrap();
        assert_eq!(whole.parts[0].size_mm, 2);
        assert_eq!(whole.first_name, "Ivan");
        assert!(matches!(whole.kind, Kind::Small) && whole.born.to_string() == "2000-02-29");
    }

    #[test]
    fn every_mistake_is_named_at_once() {
        let mut found = mistakes(
            r#"{"firstName":"I","parts":[{"sizeMm":0},["x"],{"sizeMm":1,"b":1}],"kind":"odd","more":1}"#,
        );
        found.sort();
        let expected = pairs(&[
            ("/born", "required"),
            ("/firstName", "length"),
            ("/kind", "unknown-value"),
            ("/more", "unknown-member"),
            ("/parts/0/sizeMm", "range"),
            ("/parts/1", "wrong-type"),
            ("/parts/2/b", "unknown-member"),
        ]);
        assert_eq!(found, expected);
    }

    #[test]
    fn an_array_never_stands_for_an_object() {
        assert_eq!(mistakes(r#"["Ivan",[],"small"]"#), pairs(&[("", "wrong-type")]));
    }

    #[test]
    fn nul_characters_and_duplicates_are_found_anywhere() {
        assert_eq!(
            mistakes(r#"{"firstName":"a\u0000","parts":[{"a/b":"\u0000"}],"kind":1,"kind":2}"#),
            pairs(&[
                ("/firstName", "nul-character"),
                ("/parts/0/a~1b", "nul-character"),
                ("/kind", "duplicate-member"),
            ])
        );
    }

    #[test]
    fn deep_nesting_is_refused() {
        let text = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(mistakes(&text), pairs(&[("", "too-deep")]));
    }

    #[test]
    fn text_that_is_no_json_is_refused() {
        for text in ["", "{", "{}x", "\u{feff}{}", "nul"] {
            assert_eq!(mistakes(text), pairs(&[("", "malformed-json")]), "{text:?}");
        }
    }
}
