//! Components from text: each has the contract's shape and one vice.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// A component whose `transform` is this body. `$body` and `$body_len` are the document's.
pub fn component(items: &str, body: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let contract = include_str!("../../../wit/1.0.0/transform.wit");
    let package = resolve.push_str("transform.wit", contract).expect("the contract is WIT");
    let world = resolve.select_world(&[package], Some("transform")).expect("the contract has this world");
    let text = module(items, body);
    let mut core = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8)
        .expect("the module takes a section more");
    let mut encoder = ComponentEncoder::default();
    let encoder = encoder.module(&core).expect("the module has the world's imports and exports");
    encoder.validate(true).encode().expect("a module of this shape is a component")
}

/// Four mebibytes, so that large documents fit. Below 1,024 stands what `describe` gives, from 1,024 on an outcome, from 65,536 on what the host hands in.
fn module(items: &str, body: &str) -> String {
    let (source, target) = ("jushuitan_qimen:jushuitan.saleout.list.query", "kingdee_k3cloud:BatchSave");
    // JSON inside a text of the module: its quotes would need escapes, so the schema has none.
    let description = ["hostile", "0.1.0", source, target, "{}"];
    let mut stores = String::new();
    let mut at = 100;
    for (index, text) in description.iter().enumerate() {
        let (pointer, length) = (index * 8, index * 8 + 4);
        stores.push_str(&format!("(i32.store (i32.const {pointer}) (i32.const {at}))"));
        stores.push_str(&format!("(i32.store (i32.const {length}) (i32.const {}))", text.len()));
        at += text.len();
    }
    format!(
        r#"(module
  (import "crossdock:transform/log@1.0.0" "write" (func $log (param i32 i32 i32)))
  (import "crossdock:transform/reference@1.0.0" "lookup" (func $lookup (param i32 i32 i32 i32 i32)))
  (memory (export "memory") 64)
  (global $heap (mut i32) (i32.const 65536))
  (data (i32.const 100) "{}")
  (func (export "describe") (result i32) {stores} (i32.const 0))
  (func (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
    (global.set $heap (i32.add (local.get $at) (local.get $size)))
    (local.get $at))
  {items}
  (func (export "transform")
    (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)
    (param $key i32) (param $key_len i32) (param $body i32) (param $body_len i32) (result i32)
    {body}))"#,
        description.concat()
    )
}

/// Emits one bill under the document's own key, whose body is so many bytes from the start of memory on.
pub fn emits(bytes: u32) -> String {
    format!(
        "(i32.store8 (i32.const 1024) (i32.const 0))
         (i32.store (i32.const 1028) (i32.const 1040)) (i32.store (i32.const 1032) (i32.const 1))
         (i32.store (i32.const 1040) (local.get $key)) (i32.store (i32.const 1044) (local.get $key_len))
         (i32.store (i32.const 1048) (i32.const 2048)) (i32.store (i32.const 1052) (i32.const {bytes}))
         (i32.const 1024)"
    )
}

/// Rejects the document with what the table `hostile` has under `0.1.0`: words that the module says of itself anyhow.
pub fn rejects_by_table() -> String {
    "(call $lookup (i32.const 100) (i32.const 7) (i32.const 107) (i32.const 5) (i32.const 3000))
     (i32.store8 (i32.const 1024) (i32.const 2))
     (i32.store (i32.const 1028) (i32.const 100)) (i32.store (i32.const 1032) (i32.const 7))
     (i32.store (i32.const 1036) (i32.load (i32.const 3008))) (i32.store (i32.const 1040) (i32.load (i32.const 3012)))
     (i32.store8 (i32.const 1044) (i32.const 0))
     (i32.const 1024)"
        .to_owned()
}

/// Rejects the document, with a code that says nothing.
pub fn rejects() -> String {
    "(i32.store8 (i32.const 1024) (i32.const 2))
     (i32.store (i32.const 1028) (i32.const 100)) (i32.store (i32.const 1032) (i32.const 7))
     (i32.store (i32.const 1036) (i32.const 100)) (i32.store (i32.const 1040) (i32.const 7))
     (i32.store8 (i32.const 1044) (i32.const 0))
     (i32.const 1024)"
        .to_owned()
}
