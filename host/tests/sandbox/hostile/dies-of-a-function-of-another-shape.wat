;; Calls an entry of its table as what it is not.
;; ends: parked guest_trap
;; says: type mismatch
;; === items
(type $t (func (param i64))) (table 1 funcref) (elem (i32.const 0) $f) (func $f)
;; === body
(call_indirect (type $t) (i64.const 1) (i32.const 0)) (call $emit (local.get $key) (local.get $key_len) (local.get $body) (local.get $body_len))
