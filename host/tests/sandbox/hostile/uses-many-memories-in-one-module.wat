;; Has two memories in one module.
;; ends: refused module_refused
;; === component
(component
  (core module
    (memory 1) (memory 1)))
