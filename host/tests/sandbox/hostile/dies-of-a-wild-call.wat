;; Calls beyond the end of its table.
;; ends: parked guest_trap
;; says: undefined element
;; === items
(type $t (func)) (table 1 funcref)
;; === body
(call_indirect (type $t) (i32.const 5)) (call $emit (local.get $key) (local.get $key_len) (local.get $body) (local.get $body_len))
