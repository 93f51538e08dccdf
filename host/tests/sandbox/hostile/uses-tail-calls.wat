;; Replaces its frame by another.
;; ends: refused module_refused
;; === component
(component
  (core module
    (func $f (return_call $f))))
