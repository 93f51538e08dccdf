;; Has a table of references to the host, of which there are none.
;; ends: refused module_refused
;; says: gc types
;; === items
(table 10 externref)
