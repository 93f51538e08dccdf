;; Dies when it is asked what it is.
;; ends: refused guest_trap
;; replace: (func (export "describe") (result i32) => (func (export "describe") (result i32) unreachable
;; === body
(call $emit (local.get $key) (local.get $key_len) (local.get $body) (local.get $body_len))
