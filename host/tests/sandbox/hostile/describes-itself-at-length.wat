;; Has a schema for its parameters that is over its limit.
;; ends: refused module_refused
;; replace: (memory (export "memory") 4) => (memory (export "memory") 4) (data (i32.const 65536) "[(;repeat 70000;)1,(;end;)1]")
;; replace: (i32.store (i32.const 32) (i32.const 115)) => (i32.store (i32.const 32) (i32.const 65536))
;; replace: (i32.store (i32.const 36) (i32.const 2)) => (i32.store (i32.const 36) (i32.const 140003))
;; says: 64 KiB
;; === body
(call $emit (local.get $key) (local.get $key_len) (local.get $body) (local.get $body_len))
