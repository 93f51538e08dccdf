;; Has a memory of pages of one byte.
;; ends: refused module_refused
;; === component
(component
  (core module
    (memory 1 (pagesize 1))))
