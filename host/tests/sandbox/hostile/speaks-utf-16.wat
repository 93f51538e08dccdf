;; Has its strings in UTF-16, for the code that converts them.
;; ends: refused module_refused
;; says: UTF-8
;; === component
(component
  (core module $m (memory (export "memory") 1) (func (export "f") (param i32 i32))
    (func (export "r") (param i32 i32 i32 i32) (result i32) (i32.const 0)))
  (core instance $i (instantiate $m))
  (func (export "f") (param "s" string)
    (canon lift (core func $i "f") (memory $i "memory") (realloc (func $i "r")) string-encoding=utf16)))
