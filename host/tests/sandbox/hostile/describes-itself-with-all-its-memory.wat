;; Has a schema of a gigabyte, of which there are a few pages.
;; ends: refused guest_trap
;; replace: (i32.store (i32.const 36) (i32.const 2)) => (i32.store (i32.const 36) (i32.const 1073741824))
;; === body
(call $emit (local.get $key) (local.get $key_len) (local.get $body) (local.get $body_len))
