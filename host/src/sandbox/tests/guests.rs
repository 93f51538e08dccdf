//! Guests as text. [`guest`] wraps the body of `transform` into a component of our world; everything a body may want is
//! there: the document's key and body, a way to emit, skip, log, look up and allocate.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Emits the document as it is.
pub const ECHO: &str = "(call $emit (local.get $key) (local.get $key_len) (local.get $body) (local.get $body_len))";

/// A component of our world whose `transform` is `body`.
pub fn guest(body: &str) -> Vec<u8> {
    guest_with("", "", body)
}

/// The same with more imports (which stand first in a module) and more items.
pub fn guest_with(imports: &str, items: &str, body: &str) -> Vec<u8> {
    component("", &core_text(imports, items, body))
}

/// The same with more of the world: `world` is WIT that stands beside ours, for guests that import something else.
pub fn component(world: &str, core: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    resolve.push_str("transform.wit", include_str!("../../../../wit/1.0.0/transform.wit")).unwrap();
    let package = resolve
        .push_str(
            "guest.wit",
            &format!("package test:guest;\nworld guest {{ include crossdock:transform/transform@1.0.0; {world} }}"),
        )
        .unwrap();
    encode(&resolve, package, core)
}

/// A component from WIT of its own, for those that miss the contract.
pub fn stranger(packages: &[&str], core: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let mut last = None;
    for (number, text) in packages.iter().enumerate() {
        last = Some(resolve.push_str(format!("{number}.wit"), text).unwrap());
    }
    encode(&resolve, last.unwrap(), core)
}

fn encode(resolve: &Resolve, package: wit_parser::PackageId, core: &str) -> Vec<u8> {
    let world = resolve.select_world(&[package], None).unwrap();
    let mut module = wat::parse_str(core).unwrap_or_else(|error| panic!("{error}\n{core}"));
    embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
}

pub const WIT: &str = include_str!("../../../../wit/1.0.0/transform.wit");

/// The core module. Memory: 0 to 1,024 are the description's and the bodies' own, 1,024 on are `$emit`'s, 4,096 on the
/// answer of a look-up, and from 65,536 a heap that only grows.
pub fn core_text(imports: &str, items: &str, body: &str) -> String {
    format!(
        r#"(module
  {imports}
  (import "crossdock:transform/log@1.0.0" "write" (func $log (param i32 i32 i32)))
  (import "crossdock:transform/reference@1.0.0" "lookup" (func $lookup (param i32 i32 i32 i32 i32)))
  (memory (export "memory") 4)
  (global $heap (mut i32) (i32.const 65536))
  (data (i32.const 100) "echo0.1.0a:bc:d{{}}")
  (func (export "describe") (result i32)
    (i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (i32.const 4))
    (i32.store (i32.const 8) (i32.const 104)) (i32.store (i32.const 12) (i32.const 5))
    (i32.store (i32.const 16) (i32.const 109)) (i32.store (i32.const 20) (i32.const 3))
    (i32.store (i32.const 24) (i32.const 112)) (i32.store (i32.const 28) (i32.const 3))
    (i32.store (i32.const 32) (i32.const 115)) (i32.store (i32.const 36) (i32.const 2))
    (i32.const 0))
  (func $alloc (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
    (global.set $heap (i32.add (local.get $at) (local.get $size)))
    (if (i32.gt_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536)))
      (then (if (i32.eq (i32.const -1) (memory.grow (i32.add (i32.const 1) (i32.div_u (local.get $size) (i32.const 65536)))))
        (then unreachable))))
    (local.get $at))
  ;; emit([{{ key, body }}])
  (func $emit (param $k i32) (param $kl i32) (param $b i32) (param $bl i32) (result i32)
    (i32.store (i32.const 1040) (local.get $k)) (i32.store (i32.const 1044) (local.get $kl))
    (i32.store (i32.const 1048) (local.get $b)) (i32.store (i32.const 1052) (local.get $bl))
    (call $emit_list (i32.const 1040) (i32.const 1)))
  (func $emit_list (param $list i32) (param $len i32) (result i32)
    (i32.store8 (i32.const 1024) (i32.const 0))
    (i32.store (i32.const 1028) (local.get $list)) (i32.store (i32.const 1032) (local.get $len))
    (i32.const 1024))
  ;; skip or reject with a code, which is the message too
  (func $say (param $how i32) (param $c i32) (param $cl i32) (result i32)
    (i32.store8 (i32.const 1024) (local.get $how))
    (i32.store (i32.const 1028) (local.get $c)) (i32.store (i32.const 1032) (local.get $cl))
    (i32.store (i32.const 1036) (local.get $c)) (i32.store (i32.const 1040) (local.get $cl))
    (i32.store8 (i32.const 1044) (i32.const 0))
    (i32.const 1024))
  {items}
  (func (export "transform")
    (param $tenant i32) (param $tenant_len i32) (param $scheme i32) (param $scheme_len i32)
    (param $source i32) (param $source_len i32) (param $target i32) (param $target_len i32)
    (param $parameters i32) (param $parameters_len i32) (param $received i32) (param $received_len i32)
    (param $key i32) (param $key_len i32) (param $body i32) (param $body_len i32) (result i32)
    (local $i i32)
    {body}))"#
    )
}
