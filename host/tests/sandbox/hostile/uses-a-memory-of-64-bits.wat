;; Has a memory of more than four gigabytes.
;; ends: refused module_refused
;; === component
(component
  (core module
    (memory i64 1)))
