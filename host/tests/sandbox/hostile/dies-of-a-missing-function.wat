;; Calls an entry of its table that is empty.
;; ends: parked guest_trap
;; says: uninitialized element
;; === items
(type $t (func)) (table 1 funcref)
;; === body
(call_indirect (type $t) (i32.const 0)) (call $emit (local.get $key) (local.get $key_len) (local.get $body) (local.get $body_len))
