;; Adds a number to nothing.
;; ends: refused module_refused
;; says: type mismatch
;; === component
(component
  (core module (func (result i32) (i32.add (i32.const 1)))))
