;; Multiplies into 128 bits.
;; ends: refused module_refused
;; === component
(component
  (core module
    (func (param i64 i64) (result i64 i64) (i64.mul_wide_u (local.get 0) (local.get 1)))))
