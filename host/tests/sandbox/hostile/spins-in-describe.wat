;; Spins when it is asked what it is.
;; ends: refused guest_fuel_exhausted fuel
;; replace: (func (export "describe") (result i32) => (func (export "describe") (result i32) (loop $l (br $l))
;; === body
(call $emit (local.get $key) (local.get $key_len) (local.get $body) (local.get $body_len))
