;; Exports what the contract asks for, in another shape.
;; ends: refused module_refused
;; says: does not fit the contract
;; === component
(component
  (core module $m (func (export "f") (result i32) (i32.const 0)))
  (core instance $i (instantiate $m))
  (func (export "describe") (result u32) (canon lift (core func $i "f")))
  (func (export "transform") (result u32) (canon lift (core func $i "f"))))
